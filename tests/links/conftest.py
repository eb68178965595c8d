"""A server to fetch from, a folder to keep things in, and a fetcher with limits short enough to be reached."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import stamina.instrumentation
from obstore.store import LocalStore

from streams.links.fetching.address import AddressRules
from streams.links.fetching.blobs import Blobs
from streams.links.fetching.client import Client
from streams.links.fetching.fetch import Fetcher
from streams.links.fetching.progress import Progress
from streams.links.fetching.retry import RetryPolicy
from streams.links.limits import MIB, FetchLimits
from streams.links.link import Link
from tests.links.misbehaving import misbehaving

LIMITS = FetchLimits(
    connect_timeout_s=1,
    idle_timeout_s=0.3,
    total_timeout_s=20,
    rate_after_s=0.4,
    bytes_max=8 * MIB,
    inflated_bytes_max=16 * MIB,
    inflate_ratio_after_bytes=4 * MIB,
)
RETRIES = RetryPolicy(attempts_max=2, wait_s=0.01, wait_s_max=0.05)


@pytest.fixture(autouse=True)
def _no_retry_log():
    # As in the stage: the events of the links stage say what is retried.
    stamina.instrumentation.set_on_retry_hooks(())
    yield
    stamina.instrumentation.set_on_retry_hooks(None)


@pytest.fixture
async def server():
    async with misbehaving() as server:
        yield server


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def blobs(folder):
    return Blobs(LocalStore(folder, mkdir=True))


@pytest.fixture
def stored(folder):
    """Return the files in the store, by key."""

    def stored():
        files = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    return stored


@pytest.fixture
def link():
    """Build a link: a document of no particular kind, with a minute to live."""

    def link(*urls, left_s=60.0, **changes):
        fields = {
            "id": "m-1/0/document/0",
            "kind": "document",
            "urls": urls,
            "key": "p-1",
            "source": "metriport.x/0/7",
            "index": 0,
            "order": 7,
            "deadline": datetime.now(UTC) + timedelta(seconds=left_s),
            "expects": "unknown",
            "record": {},
        }
        return Link(**(fields | changes))

    return link


@pytest.fixture
async def fetch(server, blobs):
    """Fetch a link from the server, which is trusted unless told otherwise."""
    clients = []

    async def fetch(link, *, rules=None, resolver=None, tls=None, progress=None, attempts_max=2, **limits):
        changed = replace(LIMITS, **limits)
        client = Client(rules or AddressRules((), (server.origin,)), changed, resolver=resolver, tls=tls)
        clients.append(await client.__aenter__())
        fetcher = Fetcher(client, blobs, changed, retries=replace(RETRIES, attempts_max=attempts_max))
        return await fetcher.fetch(link, partition=3, progress=progress or Progress())

    yield fetch
    for client in clients:
        await client.__aexit__()
