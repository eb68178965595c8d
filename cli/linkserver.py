"""A local stand-in for the object store behind Metriport's links: the same shapes, with sample content.

What it imitates, because readers stumble over it: links work only with their query and only until they expire; a gzip
copy is sent with `Content-Encoding: gzip`; an encounter comes as octet-stream; errors are XML.
"""

import gzip
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import NamedTuple

from aiohttp import web

from models import samples

SAMPLE_PATIENT_ID = "01936b20-48f8-7d49-8bc6-50e0c4986011"
_TYPES = {"json": "application/json", "xml": "application/xml", "pdf": "application/pdf", "html": "text/html"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ENCOUNTER = "encounter.hl7.json"
_NOTIFICATIONS = frozenset({"medication-dispense.json", "laboratory-report.json", "discharge-summary.json"})
_MODIFIED = "Thu, 30 Oct 2025 12:00:00 GMT"


class Object(NamedTuple):
    """One stored object, as it is sent."""

    body: bytes
    content_type: str
    content_encoding: str | None = None


def find(name: str, *, patient_id: str = SAMPLE_PATIENT_ID) -> Object | None:
    """Return the object whose key ends in `name`, about this patient; by its own name, else by its ending."""
    ending = name.rpartition(".")[2]
    if ending == "gz":
        plain = find(name.removesuffix(".gz"), patient_id=patient_id)
        return plain and Object(gzip.compress(plain.body, mtime=0), "application/gzip", "gzip")
    if name == _ENCOUNTER:
        return Object(_content(_ENCOUNTER, patient_id), "application/octet-stream")
    if name in _NOTIFICATIONS:
        return Object(_content(name, patient_id), _TYPES["json"])
    if ending == "csv":
        return Object(_content("result.csv", patient_id), "text/csv")
    if ending == "xml":
        return Object(_content("doc.xml", patient_id), _TYPES[ending])
    return Object(_content(f"MR.{ending}", patient_id), _TYPES[ending]) if ending in _TYPES else None


def is_alive(query: Mapping[str, str], *, now: datetime) -> bool:
    """Tell whether a link with this query still works: signed, and not expired."""
    try:
        signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        expires = timedelta(seconds=int(query["X-Amz-Expires"]))
    except (KeyError, ValueError, OverflowError):
        return False
    return "X-Amz-Signature" in query and signed_at - timedelta(minutes=15) <= now <= signed_at + expires


def application() -> web.Application:
    """Return the server; what it serves is about the patient whose id the path begins with, else the samples' own."""

    async def answer(request: web.Request) -> web.Response:
        if not is_alive(request.query, now=datetime.now(UTC)):
            return _error(403, "AccessDenied", "Request has expired")
        found = find(request.path.rpartition("/")[2], patient_id=_patient(request.path))
        if found is None:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        headers = {
            "Content-Type": found.content_type,
            "ETag": f'"{hashlib.md5(found.body, usedforsecurity=False).hexdigest()}"',
            "Last-Modified": _MODIFIED,
        }
        if found.content_encoding:
            headers["Content-Encoding"] = found.content_encoding
        return web.Response(body=found.body, headers=headers)

    app = web.Application()
    app.router.add_get("/{key:.*}", answer)
    return app


@asynccontextmanager
async def serving(*, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve links for a while, and give the origin they must point at."""
    runner = web.AppRunner(application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _patient(path: str) -> str:
    first = path.split("/")[1]
    return first if _UUID.fullmatch(first) else SAMPLE_PATIENT_ID


def _content(name: str, patient_id: str) -> bytes:
    file = resources.files(samples).joinpath("links", name)
    return file.read_bytes().replace(SAMPLE_PATIENT_ID.encode(), patient_id.encode())


def _error(status: int, code: str, message: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return web.Response(status=status, text=text, content_type="application/xml")
