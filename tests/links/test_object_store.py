"""Links stored in an object store as in S3: the same blobs, in parts, and nothing that is not whole under its key."""

import asyncio
import gzip
import hashlib
import os

import obstore
import pytest

from streams.blob_store import open_store
from streams.bundles.bundle.progress import Progress
from streams.bundles.bundle.store import Blobs as ReadingBlobs
from streams.links.fetching.blobs import PART_BYTES, Blobs
from streams.links.limits import MIB
from tests.links.misbehaving import good, hang
from tests.links.object_store import serving

URL = "s3://bucket/kept/here"
JSON = b'{"resourceType":"Bundle","entry":[]}'
LARGE = b"{" + os.urandom(3 * PART_BYTES)


@pytest.fixture
async def s3(monkeypatch):
    async with serving() as s3:
        for name, value in {
            "AWS_ENDPOINT_URL": s3.origin,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-west-1",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }.items():
            monkeypatch.setenv(name, value)
        yield s3


@pytest.fixture
def blobs(s3):  # noqa: ARG001 - the environment leads there
    return Blobs(open_store(URL))


def key_of(body):
    sha256 = hashlib.sha256(body).hexdigest()
    return f"sha256/{sha256[:2]}/{sha256}"


@pytest.mark.parametrize("body", [b"", JSON, LARGE], ids=["empty", "small", "in-parts"])
async def test_what_is_fetched_is_one_object_under_its_hash(server, fetch, link, s3, body):
    outcome = await fetch(link(server.on("/a", good(body))), bytes_max=len(LARGE))

    assert outcome.body.blob == key_of(body)
    assert s3.objects == {f"kept/here/{key_of(body)}": body}
    assert s3.uploads == {}


async def test_a_bundle_that_travels_as_gzip_is_stored_inflated(server, fetch, link, s3):
    url = server.on("/MR.json.gz", good(gzip.compress(LARGE), Content_Encoding="gzip"))

    await fetch(link(url, kind="bundle", expects="json"), bytes_max=64 * MIB, inflated_bytes_max=64 * MIB)

    assert s3.objects == {f"kept/here/{key_of(LARGE)}": LARGE}


@pytest.mark.parametrize("body", [JSON, LARGE], ids=["small", "in-parts"])
async def test_the_same_content_twice_is_never_written_twice(server, fetch, link, s3, body):
    url = server.on("/a", good(body))
    first = await fetch(link(url), bytes_max=len(LARGE))
    (key,) = s3.objects
    s3.objects[key] = b"the first one"

    second = await fetch(link(url), bytes_max=len(LARGE))

    assert (second.outcome, second.body.blob) == ("stored", first.body.blob)
    assert s3.objects == {key: b"the first one"}
    assert s3.uploads == {}


async def test_a_fetch_that_is_ended_leaves_nothing(server, fetch, link, s3):
    async def half(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (2 * len(LARGE)) + LARGE)
        await hang()(writer)

    fetching = asyncio.create_task(fetch(link(server.on("/a", half)), bytes_max=2 * len(LARGE), idle_timeout_s=60))
    while not any(s3.uploads.values()):  # noqa: ASYNC110 - the other side has no event for this
        await asyncio.sleep(0.01)
    assert s3.objects == {}

    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching

    assert s3.objects == {}
    assert s3.uploads == {}


async def test_bytes_that_are_not_what_they_should_be_are_kept_aside(server, fetch, link, s3):
    outcome = await fetch(link(server.on("/a", good(b"<html>Sorry</html>")), expects="pdf"))

    assert outcome.reason == "wrong_content"
    assert s3.objects == {f"kept/here/{outcome.body.blob}": b"<html>Sorry</html>"}
    assert outcome.body.blob.startswith("rejected/")


async def test_what_a_killed_worker_left_is_swept_from_its_partition_alone(blobs, s3):
    for key in ("staging/3/a", "staging/3/b", "staging/33/c", "sha256/00/00"):
        s3.objects[f"kept/here/{key}"] = b"x"

    await blobs.sweep(3)

    assert set(s3.objects) == {"kept/here/staging/33/c", "kept/here/sha256/00/00"}


async def test_a_store_that_takes_nothing_is_waited_for(server, fetch, link, s3, capsys):
    s3.fails = {"PUT object"}
    fetching = asyncio.create_task(fetch(link(server.on("/a", good(JSON)))))
    while "blob_store_away" not in capsys.readouterr().out:  # noqa: ASYNC110 - a log has no event
        await asyncio.sleep(0.01)

    s3.fails = set()

    assert (await fetching).outcome == "stored"
    assert list(s3.objects.values()) == [JSON]


async def test_the_bundles_stage_reads_what_the_links_stage_wrote(server, fetch, link):
    outcome = await fetch(link(server.on("/a", good(LARGE))), bytes_max=len(LARGE))

    def read():
        with ReadingBlobs(open_store(URL), bytes_max=len(LARGE)).on_disk(outcome.body.blob, Progress()) as bundle:
            return bundle.bytes(0, len(LARGE))

    assert await asyncio.to_thread(read) == LARGE


async def test_a_blob_is_read_back(blobs, s3):
    s3.objects["kept/here/sha256/00/00"] = b"a,b\n" * 300_000 + b"end"

    read = b"".join([chunk async for chunk in blobs.chunks("sha256/00/00")])

    assert read == b"a,b\n" * 300_000 + b"end"


def test_no_store_ends_a_large_transfer_because_it_takes_long(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    # Half a minute for a whole request, body included, is what the library takes unless told otherwise.
    for url in ("s3://bucket", "gs://bucket", "az://container"):
        options = open_store(url).client_options

        assert options["timeout"] == "15 minutes"
        assert options["read_timeout"] == "60 seconds"


async def test_the_store_in_memory_needs_no_such_options():
    store = open_store("memory://")
    await obstore.put_async(store, "a", b"x")

    assert bytes(await (await obstore.get_async(store, "a")).bytes_async()) == b"x"
