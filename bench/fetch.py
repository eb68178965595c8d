"""How fast a large bundle is fetched and stored, beside a bare aiohttp download to a file, and at what cost in memory.

`python -m bench.fetch [MB]` generates a bundle, serves it from a process of its own, and takes turns: over https, which
is what links are, and over plain http, where the hash weighs most; both sides on uvloop, as the worker is.
`python -m bench.fetch --worker [MB]` has the running `links` stage do it: from a delivery in Kafka to the record in
`bundles`, with the memory of the stage's process.
"""

import argparse
import asyncio
import shutil
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import uvloop
from obstore.store import LocalStore

from bench import fetch_worker, large_bundle
from bench.large_bundle import MIB, PACKED, PLAIN, Large, bare
from bench.measuring import ratio
from streams.links.fetching.address import AddressRules
from streams.links.fetching.blobs import Blobs
from streams.links.fetching.client import Client
from streams.links.fetching.fetch import Fetcher
from streams.links.fetching.progress import Progress
from streams.links.limits import FetchLimits
from streams.links.link import Link

GOAL = "0.7"
SAMPLE_S = 0.02


def resident_bytes() -> int:
    """Return what this process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def measured(what: Callable[[], Awaitable[object]]) -> tuple[float, int]:
    """Return the seconds `what` took, and by how much memory grew at most meanwhile."""
    before, most, done = resident_bytes(), 0, asyncio.Event()

    async def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, resident_bytes() - before)
            await asyncio.sleep(SAMPLE_S)

    watching = asyncio.create_task(watch())
    begun = time.perf_counter()
    await what()
    seconds = time.perf_counter() - begun
    done.set()
    await watching
    return seconds, most


async def ours(url: str, origin: str, folder: Path, expected: str, trust: ssl.SSLContext) -> None:
    """Fetch and store the way the links stage does."""
    limits = FetchLimits()
    link = Link(
        id="bench",
        kind="bundle",
        urls=(url,),
        key="p",
        source="t/0/0",
        index=0,
        order=0,
        deadline=datetime.now(UTC) + timedelta(minutes=10),
        expects="json",
        record={},
    )
    async with Client(AddressRules((), (origin,)), limits, tls=trust) as client:
        fetcher = Fetcher(client, Blobs(LocalStore(folder, mkdir=True)), limits)
        outcome = await fetcher.fetch(link, partition=0, progress=Progress())
    assert outcome.body, f"the fetch ended as {outcome.reason}"
    assert outcome.body.sha256 == expected


async def compare(large: Large, origin: str, name: str, folder: Path, rounds: int) -> None:
    """Take turns and print the median of the rounds' ratios: whatever else runs here slows neighbours alike."""
    bare_s, ours_s, growth, trust = [], [], 0, large.trust()
    for _ in range(rounds + 1):
        bare_s.append((await measured(lambda: bare(f"{origin}/{name}", folder / "bare", trust)))[0])
        (folder / "bare").unlink()  # a part of neither: what is on the disk takes longer to remove
        store = lambda: ours(f"{origin}/{name}", origin, folder / "blobs", large.sha256, trust)  # noqa: E731
        seconds, most = await measured(store)
        shutil.rmtree(folder / "blobs")
        ours_s.append(seconds)
        growth = max(growth, most)
    del bare_s[0], ours_s[0]  # memory that nobody has had since the machine started is slow
    scheme = origin.partition(":")[0]
    ratios = [theirs / mine for theirs, mine in zip(bare_s, ours_s, strict=True)]
    print(ratio(f"{scheme} {name}: speed, stored / bare download", ratios, GOAL))
    print(
        f"  {large.megabytes / median(ours_s):.0f} and {large.megabytes / median(bare_s):.0f} MB/s on this machine, "
        f"the fastest of each {min(bare_s) / min(ours_s):.2f}; memory grew by {growth / MIB:.0f} MiB at most",
        flush=True,
    )


async def main(arguments: list[str] | None = None) -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="bench.fetch", description=__doc__)
    parser.add_argument("megabytes", type=int, nargs="?", default=600)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--worker", action="store_true", help="the running stage, from record to record")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large = large_bundle.generate(folder / "served", options.megabytes)
        if options.worker:
            async with large_bundle.serving(large, tls=True) as origin:
                await fetch_worker.compare(large, origin, folder, options.rounds)
            return 0
        for tls in (True, False):
            async with large_bundle.serving(large, tls=tls) as origin:
                for file in (PLAIN, PACKED):
                    await compare(large, origin, file, folder, options.rounds)
    return 0


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main()))
