"""How fast a large bundle is fetched and stored, beside a bare aiohttp download to a file, and at what cost in memory.

`python -m bench.fetch [MB]` generates a bundle, serves it from a process of its own, and takes turns.
"""

import asyncio
import gzip
import hashlib
import json
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import aiohttp
from aiohttp import web
from obstore.store import LocalStore

from streams.links.address import AddressRules
from streams.links.blobs import Blobs
from streams.links.client import Client
from streams.links.fetch import Fetcher
from streams.links.limits import MIB, FetchLimits
from streams.links.link import Link

ROUNDS = 5
SAMPLE_S = 0.02


class _Silent:
    def received(self, byte_count: int) -> None: ...
    def failed(self) -> None: ...


def bundle(bytes_min: int) -> Iterator[bytes]:
    """Yield a FHIR bundle of observations, at least this large."""
    chance = random.Random(1)
    yield b'{"resourceType":"Bundle","type":"searchset","entry":['
    made, separator = 0, b""
    while made < bytes_min:
        entry = json.dumps(
            {
                "resource": {
                    "resourceType": "Observation",
                    "id": f"{chance.getrandbits(128):032x}",
                    "status": "final",
                    "code": {"coding": [{"system": "http://loinc.org", "code": f"{chance.randrange(99999)}-1"}]},
                    "subject": {"reference": "Patient/01936b20-48f8-7d49-8bc6-50e0c4986011"},
                    "effectiveDateTime": f"20{chance.randrange(10, 25)}-05-{chance.randrange(10, 28)}T08:30:00Z",
                    "valueQuantity": {"value": chance.random(), "unit": "mg/dL"},
                }
            }
        ).encode()
        yield separator + entry
        made, separator = made + len(entry), b","
    yield b"]}"


def serve(folder: str, port: "multiprocessing.Queue[int]") -> None:
    """Serve the files in `folder` as S3 does."""

    async def answer(request: web.Request) -> web.FileResponse:
        name = request.match_info["name"]
        headers = {"Content-Type": "application/json"}
        if name.endswith(".gz"):
            headers = {"Content-Type": "application/gzip", "Content-Encoding": "gzip"}
        return web.FileResponse(Path(folder) / name, headers=headers, chunk_size=MIB)

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/{name}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


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


async def bare(url: str, file: Path) -> None:
    """Download to a file the way anybody would."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        with file.open("wb") as out:
            async for chunk in response.content.iter_chunked(MIB):
                out.write(chunk)


async def ours(url: str, origin: str, folder: Path, expected: str) -> None:
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
    async with Client(AddressRules((), (origin,)), limits) as client:
        fetcher = Fetcher(client, Blobs(LocalStore(folder, mkdir=True)), limits)
        outcome = await fetcher.fetch(link, partition=0, progress=_Silent())
    assert outcome.facts, f"the fetch ended as {outcome.reason}"
    assert outcome.facts.sha256 == expected


async def compare(origin: str, name: str, megabytes: float, folder: Path, expected: str) -> None:
    """Take turns and print the median of the rounds' ratios: whatever else runs here slows neighbours alike."""
    bare_s, ours_s, growth = [], [], 0
    for _ in range(ROUNDS):
        bare_s.append((await measured(lambda: bare(f"{origin}/{name}", folder / "bare")))[0])
        (folder / "bare").unlink()  # a part of neither: what is on the disk takes longer to remove
        seconds, most = await measured(lambda: ours(f"{origin}/{name}", origin, folder / "blobs", expected))
        shutil.rmtree(folder / "blobs")
        ours_s.append(seconds)
        growth = max(growth, most)
    ratios = sorted(theirs / mine for theirs, mine in zip(bare_s, ours_s, strict=True))
    print(
        f"{name}: {megabytes:.0f} MB; bare {megabytes / median(bare_s):.0f} MB/s, "
        f"stored {megabytes / median(ours_s):.0f} MB/s, ratio {median(ratios):.2f} "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f} in {ROUNDS} rounds), of the fastest {min(bare_s) / min(ours_s):.2f}; "
        f"memory grew by {growth / MIB:.0f} MiB at most"
    )


async def main(megabytes: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, digest = Path(name), hashlib.sha256()
        # No `.gz` beside a plain file: aiohttp would serve it to whoever accepts gzip.
        with (folder / "MR.json").open("wb") as plain, gzip.open(folder / "packed.json.gz", "wb", 6) as packed:

            def add(block: bytes) -> None:
                plain.write(block)
                packed.write(block)
                digest.update(block)

            block = b""
            for piece in bundle(megabytes * MIB):
                block += piece
                if len(block) > MIB:
                    add(block)
                    block = b""
            add(block)
        port: multiprocessing.Queue[int] = multiprocessing.Queue()
        server = multiprocessing.Process(target=serve, args=(name, port), daemon=True)
        server.start()
        origin = f"http://127.0.0.1:{port.get()}"
        size = (folder / "MR.json").stat().st_size / MIB
        for file in ("MR.json", "packed.json.gz"):
            await compare(origin, file, size, folder, digest.hexdigest())
        server.kill()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 600))
