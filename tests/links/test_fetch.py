"""Links whose servers behave: what is in the store is what was sent."""

import asyncio
import gzip
import hashlib
import json
import os
from base64 import b64encode

import pytest

from tests.links.misbehaving import good, raw

JSON = b'{"resourceType":"Bundle","entry":[]}'


def sha256(body):
    return hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize(
    ("expects", "body"),
    [
        pytest.param("json", JSON, id="json"),
        pytest.param("json", b"\xef\xbb\xbf \n" + JSON, id="json-with-bom"),
        pytest.param("xml", b'<?xml version="1.0"?><ClinicalDocument/>', id="xml"),
        pytest.param("pdf", b"%PDF-1.7\n" + os.urandom(50_000), id="pdf"),
        pytest.param("html", b"<!DOCTYPE html><html></html>", id="html"),
        pytest.param("unknown", os.urandom(3_000_000), id="octet-stream"),
        pytest.param("unknown", b"", id="empty"),
        pytest.param("unknown", b"\x1f", id="one-byte"),
        pytest.param("gzip", gzip.compress(JSON), id="gzip-document"),
        pytest.param("unknown", b"\x1f\x8bnot gzip at all", id="looks-like-gzip"),
    ],
)
async def test_a_document_is_stored_byte_for_byte(server, fetch, link, stored, expects, body):
    url = server.on("/document", good(body, ETag='"e-1"', Last_Modified="Thu, 30 Oct 2025 12:00:00 GMT"))

    outcome = await fetch(link(url, expects=expects))

    assert outcome.outcome == "stored"
    assert outcome.body.sha256 == sha256(body)
    assert outcome.body.bytes == len(body)
    assert (outcome.body.etag, outcome.body.last_modified) == ('"e-1"', "Thu, 30 Oct 2025 12:00:00 GMT")
    assert stored() == {outcome.body.blob: body}
    assert sha256(body) in outcome.body.blob


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(good(gzip.compress(JSON), Content_Encoding="gzip"), id="as-s3-sends-it"),
        pytest.param(good(gzip.compress(JSON), Content_Type="application/gzip"), id="gzip-without-encoding"),
        pytest.param(good(JSON, Content_Encoding="gzip"), id="inflated-on-the-way"),
        pytest.param(good(JSON, Content_Type="application/octet-stream"), id="plain-octet-stream"),
        pytest.param(good(gzip.compress(JSON[:9]) + gzip.compress(JSON[9:])), id="two-members"),
    ],
)
async def test_a_bundle_is_stored_inflated_however_it_travels(server, fetch, link, stored, answer):
    url = server.on("/MR.json.gz", answer)

    outcome = await fetch(link(url, kind="bundle", expects="json"))

    assert stored() == {outcome.body.blob: JSON}
    assert outcome.body.sha256 == sha256(JSON)


async def test_a_document_that_only_travelled_as_gzip_is_stored_inflated(server, fetch, link, stored):
    url = server.on("/doc.pdf", good(gzip.compress(b"%PDF-1.7"), Content_Encoding="gzip"))

    outcome = await fetch(link(url, expects="pdf"))

    assert stored() == {outcome.body.blob: b"%PDF-1.7"}


async def test_the_same_content_twice_is_one_blob(server, fetch, link, stored):
    first = await fetch(link(server.on("/a", good(JSON))))

    second = await fetch(link(server.on("/b", good(JSON))))

    assert first.body.blob == second.body.blob
    assert stored() == {first.body.blob: JSON}


@pytest.mark.parametrize("path", ["/a%2Fb/c%20d/%C3%A9.xml", "/a/b%2520c.xml", "/%7Eann/(1)'.xml"])
async def test_a_link_is_requested_as_it_is_written(server, fetch, link, path):
    url = server.on(path, good(JSON))

    outcome = await fetch(link(url))

    assert outcome.outcome == "stored"
    assert server.asked == [path]


async def test_a_link_with_spaces_and_letters_beyond_ascii_is_requested_encoded(server, fetch, link):
    server.on("/a/%C3%A9%20b.xml", good(JSON))

    outcome = await fetch(link(f"{server.origin}/a/é b.xml"))

    assert outcome.outcome == "stored"


async def test_a_broken_gzip_copy_is_replaced_by_the_plain_one(server, fetch, link, stored):
    broken = server.on("/MR.json.gz", good(gzip.compress(JSON)[:-9]))
    plain = server.on("/MR.json", good(JSON))

    outcome = await fetch(link(broken, plain, kind="bundle", expects="json"))

    assert stored() == {outcome.body.blob: JSON}


async def test_a_declared_hash_that_matches_is_no_obstacle(server, fetch, link):
    digest = b64encode(hashlib.sha256(JSON).digest()).decode()
    url = server.on("/a", good(JSON, x_amz_checksum_sha256=digest))

    outcome = await fetch(link(url))

    assert outcome.outcome == "stored"


async def test_the_hash_of_a_multipart_object_is_not_held_against_it(server, fetch, link):
    url = server.on("/a", good(JSON, x_amz_checksum_sha256="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=-2"))

    outcome = await fetch(link(url))

    assert outcome.outcome == "stored"


async def test_a_store_that_takes_nothing_is_said_and_waited_for(server, fetch, link, folder, stored, capsys):
    url = server.on("/document", good(JSON))
    # A file where the store's folder for staging would be: nothing can be written until it is gone.
    (folder / "staging").touch()
    fetching = asyncio.create_task(fetch(link(url)))
    async with asyncio.timeout(60):
        while "blob_store_away" not in capsys.readouterr().out:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.01)

    (folder / "staging").unlink()

    assert (await fetching).outcome == "stored"
    assert list(stored().values()) == [JSON]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        pytest.param(b'"\xff"', '"\\xff"', id="no-text"),
        pytest.param('"é"'.encode(), '"é"', id="text"),
        pytest.param(b'"\xc3"', '"\\xc3"', id="cut-text"),
        pytest.param(b"", "", id="empty"),
        pytest.param(b"x" * 5000, None, id="endless"),
    ],
)
async def test_header_bytes_become_text_whatever_they_are(server, fetch, link, sent, told):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nETag: %s\r\nLast-Modified: %s\r\n\r\n"
    url = server.on("/a", raw(head % (len(JSON), sent, sent) + JSON))

    outcome = await fetch(link(url))

    assert (outcome.body.etag, outcome.body.last_modified) == (told, told)
    assert json.dumps(outcome.body, ensure_ascii=False).encode()


@pytest.mark.parametrize("name", [b"Content-MD5", b"x-amz-checksum-sha256", b"Content-Type", b"X-Odd"])
@pytest.mark.parametrize("value", [b"\xff", b"", b"AAAA", b"====", "é".encode(), b"a b", b"\xc3\xa9" * 100])
async def test_no_header_that_says_nothing_costs_a_good_body(server, fetch, link, stored, name, value):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s: %s\r\n\r\n" % (len(JSON), name, value)

    outcome = await fetch(link(server.on("/a", raw(head + JSON))))

    assert stored() == {outcome.body.blob: JSON}
