"""A large FHIR bundle, a server that serves it as S3 does, and the download anybody would write."""

import asyncio
import contextlib
import gzip
import hashlib
import json
import multiprocessing
import random
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import trustme
import uvloop
from aiohttp import web

MIB = 2**20
PLAIN, PACKED = "MR.json", "packed.json.gz"  # no `.gz` beside a plain file: aiohttp would serve it to many


@dataclass(frozen=True)
class Large:
    """The bundle in a folder, plain and as gzip, and the certificate it is served with."""

    folder: Path
    sha256: str

    @property
    def megabytes(self) -> float:
        """Return the size of the bundle, plain."""
        return (self.folder / PLAIN).stat().st_size / MIB

    @property
    def authority(self) -> Path:
        """Return the file of who vouches for the server."""
        return self.folder / "authority.pem"

    def trust(self) -> ssl.SSLContext:
        """Return what a client needs to believe the server."""
        return ssl.create_default_context(cafile=self.authority)


def generate(folder: Path, megabytes: int) -> Large:
    """Write the bundle and a certificate."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    digest = hashlib.sha256()
    with (folder / PLAIN).open("wb") as plain, gzip.open(folder / PACKED, "wb", 6) as packed:
        for piece in _bundle(megabytes * MIB):
            plain.write(piece)
            packed.write(piece)
            digest.update(piece)
    return Large(folder, digest.hexdigest())


def _bundle(bytes_min: int) -> Iterator[bytes]:
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


@contextlib.asynccontextmanager
async def serving(large: Large, *, tls: bool) -> AsyncIterator[str]:
    """Serve the bundle from a process of its own, and give its origin."""
    port: multiprocessing.Queue[int] = multiprocessing.Queue()
    process = multiprocessing.Process(target=_serve, args=(large.folder, tls, port), daemon=True)
    process.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{await asyncio.to_thread(port.get)}"
    finally:
        process.kill()
        process.join()


def _serve(folder: Path, tls: bool, port: "multiprocessing.Queue[int]") -> None:  # noqa: FBT001 - positional in `args`
    async def answer(request: web.Request) -> web.FileResponse:
        name = request.match_info["name"]
        headers = {"Content-Type": "application/json"}
        if name.endswith(".gz"):
            headers = {"Content-Type": "application/gzip", "Content-Encoding": "gzip"}
        return web.FileResponse(folder / name, headers=headers, chunk_size=MIB)

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/{name}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        if context:
            context.load_cert_chain(folder / "server.pem")
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        port.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(run())


async def bare(url: str, file: Path, trust: ssl.SSLContext) -> None:
    """Download to a file, without a hash and not synced, and remove it again."""
    async with aiohttp.ClientSession() as session, session.get(url, ssl=trust) as response:
        with file.open("wb") as out:
            async for chunk in response.content.iter_chunked(MIB):
                out.write(chunk)
