"""How fast the `deliveries` stage has its state back on an empty folder, beside Faust's own recovery.

Measured from outside: how much later a program writes its first record when its changelog is full than when it is
empty. Faust's own gets fewer keys, because it takes so long.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from aiokafka import AIOKafkaProducer

from bench import measuring, webhooks
from bench.deliveries import NAMES
from bench.measuring import ratio
from cli import broker
from models import topics

CHANGELOGS = {"deliveries": "deliveries-state-changelog", "agent": "agent-seen-changelog"}
# So many that restoring them takes several seconds: a start alone differs by half a second from the next.
KEYS = {"deliveries": 2_000_000, "agent": 150_000}
BATCH_KEYS = 5_000
BATCH_BYTES = 900_000
START_TIMEOUT_S = 120.0


async def first_record_s(servers: str, module: str, keys: int, folder: Path) -> float:
    """Return how long after its start a program whose changelog holds `keys` keys writes its first record."""
    prefix = f"b{uuid.uuid4().hex[:8]}."
    source = prefix + topics.WEBHOOKS
    names = [prefix + name for name in NAMES]
    await webhooks.create(servers, source, *names)
    await webhooks.create(servers, prefix + CHANGELOGS[module], compacted=True)
    await fill(servers, prefix + CHANGELOGS[module], keys)
    await webhooks.fill(servers, source, webhooks.bodies(100, 1_000))
    async with contextlib.AsyncExitStack() as stack:
        written = await stack.enter_async_context(measuring.output(servers, names))
        begun_at = time.monotonic()
        arguments = (servers, source, prefix, str(folder / prefix))
        await stack.enter_async_context(measuring.program(module, *arguments, log=folder / f"{module}.log"))
        async with asyncio.timeout(START_TIMEOUT_S):
            while True:
                if await written.count():
                    return time.monotonic() - begun_at
                await asyncio.sleep(measuring.POLL_S)


async def fill(servers: str, changelog: str, keys: int) -> None:
    """Write marks such as both programs keep, in batches made by hand: there are many."""
    async with AIOKafkaProducer(bootstrap_servers=servers, max_batch_size=BATCH_BYTES) as producer:
        for first in range(0, keys, BATCH_KEYS):
            batch = producer.create_batch()
            for number in range(first, min(first + BATCH_KEYS, keys)):
                batch.append(timestamp=None, key=b'"m/%032d/0"' % number, value=b"true")
            await producer.send_batch(batch, changelog, partition=first // BATCH_KEYS % webhooks.PARTITIONS)


async def per_s(servers: str, module: str, folder: Path) -> float:
    """Return how many records per second a program restores."""
    empty_s = min([await first_record_s(servers, module, 0, folder) for _ in range(2)])
    full_s = await first_record_s(servers, module, KEYS[module], folder)
    return KEYS[module] / max(full_s - empty_s, 0.01)


async def main(arguments: list[str] | None = None) -> int:
    """Run the comparison on a Kafka of its own."""
    parser = argparse.ArgumentParser(prog="bench.restore", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    found = []
    with tempfile.TemporaryDirectory() as name:
        async with broker.running(Path(name) / "kafka") as kafka:
            for _ in range(options.rounds):
                ours, theirs = [await per_s(kafka.bootstrap_servers, module, Path(name)) for module in CHANGELOGS]
                found.append((ours, theirs))
                print(f"  restore  stage {ours:8.0f} records/s   Faust's own {theirs:6.0f} records/s", flush=True)
    print(ratio("state restore: records/s, stage / Faust's own", [ours / theirs for ours, theirs in found], "15"))
    print(f"state restore: {statistics.median(ours for ours, _ in found):.0f} records/s on this machine")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
