"""The `deliveries` stage beside a bare loop that only copies, and beside the agent Faust's documentation would have.

Further beside itself without the sentinel, which compares every delivery with what is known of Metriport's messages.

Each in a process of its own, in turn, over the same deliveries: this machine's speed cancels out in the ratios.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from bench import measuring, webhooks
from bench.measuring import Speed, ratio
from cli import broker
from models import topics

NAMES = (*topics.DELIVERY_TYPES, topics.UNRECOGNISED, topics.DRIFT, topics.quarantine("deliveries"))
SIZES = {1_000: 100_000, 20_000: 12_000}
WINDOW_S = 10.0
UNIQUE = 1 - 1 / webhooks.AGAIN_EVERY


@dataclass(frozen=True)
class Bench:
    """The deliveries of one size, in a topic, and where the programs may write."""

    servers: str
    source: str
    records: int
    folder: Path

    async def round(self, *programs: str) -> dict[str, Speed]:
        """Measure each program once, in this order, on topics of its own."""
        return {name: await getattr(self, f"_{name}")(f"b{uuid.uuid4().hex[:8]}.") for name in programs}

    async def _bare(self, prefix: str) -> Speed:
        await webhooks.create(self.servers, f"{prefix}copy")
        return await self._speed("bare_loop", [f"{prefix}copy"], 1.0, f"{prefix}copy")

    async def _stage(self, prefix: str) -> Speed:
        return await self._deliveries(prefix, "watched")

    async def _unwatched(self, prefix: str) -> Speed:
        return await self._deliveries(prefix, "unwatched")

    async def _deliveries(self, prefix: str, watched: str) -> Speed:
        names = [prefix + name for name in NAMES]
        await webhooks.create(self.servers, *names)
        await webhooks.create(self.servers, f"{prefix}deliveries-state-changelog", compacted=True)
        return await self._speed("deliveries", names, UNIQUE, prefix, str(self.folder / prefix), watched)

    async def _agent(self, prefix: str) -> Speed:
        names = [prefix + name for name in topics.PER_PATIENT_TYPES]
        await webhooks.create(self.servers, *names)
        await webhooks.create(self.servers, f"{prefix}agent-seen-changelog", compacted=True)
        return await self._speed("agent", names, UNIQUE, prefix, str(self.folder / prefix))

    async def _speed(self, module: str, outputs: list[str], share: float, *arguments: str) -> Speed:
        async with contextlib.AsyncExitStack() as stack:
            log = self.folder / f"{module}.log"
            process = await stack.enter_async_context(
                measuring.program(module, self.servers, self.source, *arguments, log=log)
            )
            written = await stack.enter_async_context(measuring.output(self.servers, outputs))
            return await measuring.speed(process, written, records=self.records, share=share, window_s=WINDOW_S)


async def compare(servers: str, size: int, count: int, rounds: int, folder: Path) -> None:
    """Print how fast each program was in each round, and the ratios."""
    source = f"b{uuid.uuid4().hex[:8]}.{topics.WEBHOOKS}"
    await webhooks.create(servers, source)
    await webhooks.fill(servers, source, webhooks.bodies(count, size))
    bench = Bench(servers, source, count, folder)
    await bench.round("bare")  # warms up the broker, and counts for nothing
    found = []
    for number in range(rounds):
        programs = ("bare", "stage", "unwatched", "agent")
        found.append(await bench.round(*(programs if number % 2 else programs[::-1])))
        told = "   ".join(f"{name} {one.per_s:7.0f}/s {one.cpu_us:5.0f} us" for name, one in sorted(found[-1].items()))
        print(f"  {size:>6} bytes  {told}", flush=True)
    for other, goal in (("bare", "0.35"), ("agent", "6")):
        speeds = [one["stage"].per_s / one[other].per_s for one in found]
        costs = [one["stage"].cpu_us / one[other].cpu_us for one in found]
        print(ratio(f"deliveries, {size} bytes: records/s, stage / {other}", speeds, goal))
        print(ratio(f"deliveries, {size} bytes: CPU per record, stage / {other}", costs, "none"))
    added = [one["stage"].cpu_us / one["unwatched"].cpu_us for one in found]
    print(ratio(f"deliveries, {size} bytes: CPU per record, with / without sentinel", added, "1.05"))
    median = statistics.median(one["stage"].per_s for one in found)
    print(f"deliveries, {size} bytes: {median:.0f} records/s on this machine", flush=True)


async def main(arguments: list[str] | None = None) -> int:
    """Run the comparison on a Kafka of its own."""
    parser = argparse.ArgumentParser(prog="bench.deliveries", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES), metavar="BYTES")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        async with broker.running(Path(name) / "kafka") as kafka:
            for size in options.sizes:
                count = SIZES.get(size, 100_000_000 // size)
                await compare(kafka.bootstrap_servers, size, count, options.rounds, Path(name))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
