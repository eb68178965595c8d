"""A stand-in for Metriport's presigned links, with the shapes of the real ones: for the demo, `trigger` and tests.

A link is `/<patient id>/<anything>/<file>?X-Amz-Date=…&X-Amz-Expires=…`; the content is a sample, about that patient.
"""

import gzip
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import NamedTuple

from aiohttp import web

from cli.broker import ports

SAMPLE_PATIENT = b"01936b20-48f8-7d49-8bc6-50e0c4986011"
_EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
_MISSING = b"<Error><Code>NoSuchKey</Code></Error>"


class Shape(NamedTuple):
    """How a file is served: which content, as what type, in which encoding."""

    content: str
    content_type: str
    encoding: str | None = None


# Metriport's own oddities: gzip objects that say so twice, encounters uploaded without a type.
SHAPES = {
    "MR.json": Shape("consolidated.json", "application/json"),
    "MR.json.gz": Shape("consolidated.json", "application/gzip", "gzip"),
    "MR.pdf": Shape("summary.pdf", "application/pdf"),
    "doc.xml": Shape("document.xml", "application/xml"),
    "result.csv": Shape("result.csv", "text/csv"),
    "encounter.hl7.json": Shape("encounter.json", "application/octet-stream"),
}


def application() -> web.Application:
    """Return the server as an aiohttp application."""
    app = web.Application()
    app.add_routes([web.get("/{patient}/{path:.+}", _serve)])
    return app


@asynccontextmanager
async def serving(port: int | None = None) -> AsyncIterator[str]:
    """Serve on loopback for a while; yields the origin, as in `http://127.0.0.1:9000`."""
    runner = web.AppRunner(application(), access_log=None)
    await runner.setup()
    port = port or ports.free(1)[0]
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def _serve(request: web.Request) -> web.Response:
    if _expired(request.query.get("X-Amz-Date"), request.query.get("X-Amz-Expires"), now=datetime.now(UTC)):
        return web.Response(status=403, body=_EXPIRED, content_type="application/xml")
    shape = SHAPES.get(request.match_info["path"].rsplit("/", 1)[-1])
    if shape is None:
        return web.Response(status=404, body=_MISSING, content_type="application/xml")
    content = resources.files(__name__).joinpath("content", shape.content).read_bytes()
    body = content.replace(SAMPLE_PATIENT, request.match_info["patient"].encode())
    headers = {
        "Content-Type": shape.content_type,
        "ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"',
        "Last-Modified": "Thu, 30 Oct 2025 12:00:00 GMT",
    }
    if shape.encoding is not None:
        headers["Content-Encoding"] = shape.encoding
        body = gzip.compress(body, mtime=0)
    return web.Response(body=body, headers=headers)


def _expired(signed_at: str | None, expires_s: str | None, *, now: datetime) -> bool:
    try:
        signed = datetime.strptime(signed_at or "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return now > signed + timedelta(seconds=int(expires_s or ""))
    except ValueError:
        return True
