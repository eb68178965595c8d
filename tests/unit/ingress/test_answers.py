"""Every answer is ours: in the contract's form, without anything of the request, and without anybody's version."""

import asyncio
import json
import re

import pytest

from models import signature

from .conftest import KEYS, LIMITS

SECRET = b"p-secret"
BODY = b'{"patientId": "p-secret"}'
SIGNED = f"{signature.HEADER}: {signature.sign(BODY, key=KEYS[0])}".encode()
TO_US = b"POST /webhooks/metriport HTTP/1.1\r\nHost: x\r\n" + SIGNED + b"\r\n"


def request(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((line, *headers, b"", body))


HEAD = {
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03p-secret", 400),
    "http/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\np-secret", 400),
    "http/0.9": (b"GET /p-secret\r\n\r\n", 400),
    "a version that is none": (request(b"GET /p-secret HTTP/9", b"Host: x"), 400),
    "a version to come": (request(b"GET /p-secret HTTP/2.0", b"Host: x"), 400),
    "a method that is none": (request(b"SECRET /p-secret HTTP/1.1", b"Host: x"), 400),
    "a method in lower case": (request(b"get /p-secret HTTP/1.1", b"Host: x"), 400),
    "a line that is none": (b"p-secret p-secret\r\n\r\n", 400),
    "a path with a space": (request(b"GET /p-secret p-secret HTTP/1.1", b"Host: x"), 400),
    "a path that is none": (request(b"GET p-secret HTTP/1.1", b"Host: x"), 400),
    "no host": (request(b"GET /p-secret HTTP/1.1"), 400),
    "two hosts": (request(b"GET /p-secret HTTP/1.1", b"Host: x", b"Host: p-secret"), 400),
    "a header without a colon": (request(b"GET / HTTP/1.1", b"Host: x", b"p-secret"), 400),
    "a header with a space in its name": (request(b"GET / HTTP/1.1", b"Host: x", b"p secret: p-secret"), 400),
    "a folded header": (request(b"GET / HTTP/1.1", b"Host: x", b"a: b", b" p-secret"), 400),
    "NUL in a header": (request(b"GET / HTTP/1.1", b"Host: x", b"a: p-secret\0"), 400),
    "bare line ends": (b"GET /p-secret HTTP/1.1\nHost: x\n\r\n\r\n", 400),
    "an old websocket": (request(b"GET /p-secret HTTP/1.1", b"Host: x", b"Sec-WebSocket-Key1: p-secret"), 400),
    "two lengths": (TO_US + b"Content-Length: 5\r\nContent-Length: 25\r\n\r\n" + BODY, 400),
    "a negative length": (TO_US + b"Content-Length: -5\r\n\r\n" + BODY, 400),
    "a length with a sign": (TO_US + b"Content-Length: +25\r\n\r\n" + BODY, 400),
    "a length beyond all numbers": (TO_US + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n" + BODY, 400),
    "a length and chunks": (TO_US + b"Content-Length: 25\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY, 400),
    "chunks twice": (TO_US + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + BODY, 400),
    "an unknown transfer": (TO_US + b"Transfer-Encoding: p-secret\r\n\r\n" + BODY, 400),
    "no chunk": (TO_US + b"Transfer-Encoding: chunked\r\n\r\np-secret\r\n" + BODY, 400),
    "a chunk that is longer than it says": (TO_US + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + BODY, 400),
    "a long header": (request(b"GET / HTTP/1.1", b"Host: x", b"a: p-secret" + b"x" * LIMITS["head_bytes_max"]), 431),
    "a long path": (request(b"GET /p-secret" + b"x" * LIMITS["head_bytes_max"] + b" HTTP/1.1", b"Host: x"), 431),
    "many headers": (request(b"GET /p-secret HTTP/1.1", b"Host: x", *[b"a:p-secret"] * 200), 431),
    "many headers without end": (b"GET /p-secret HTTP/1.1\r\n" + b"a:p-secret\r\n" * 200, 431),
    "a head that stops": (b"GET /p-secret HTTP/1.1\r\nHost: p-secret\r\n", 408),
    "OPTIONS *": (request(b"OPTIONS * HTTP/1.1", b"Host: x"), 404),
    "CONNECT": (request(b"CONNECT p-secret:443 HTTP/1.1", b"Host: p-secret:443"), 404),
    "TRACE": (request(b"TRACE /live HTTP/1.1", b"Host: p-secret"), 405),
    "an upgrade": (request(b"GET /p-secret HTTP/1.1", b"Host: x", b"Upgrade: websocket", b"Connection: Upgrade"), 404),
    "an address of elsewhere": (request(b"GET http://p-secret/p-secret HTTP/1.1", b"Host: x"), 404),
    "a scheme of another kind": (request(b"GET ftp://p-secret/x HTTP/1.1", b"Host: x"), 404),
    "two slashes": (request(b"GET //p-secret HTTP/1.1", b"Host: x"), 404),
    "escapes that are none": (request(b"GET /%zz%ff%00p-secret?%zz HTTP/1.1", b"Host: x"), 404),
    "a path beyond ASCII": (request(b"GET /p-secret\xff\xfe HTTP/1.1", b"Host: x"), 400),
    "headers beyond ASCII": (request(b"GET /p-secret HTTP/1.1", b"Host: \xff", b"a: \xff\xfe"), 404),
    "an expectation without a body": (request(b"GET /p-secret HTTP/1.1", b"Host: x", b"Expect: p-secret"), 404),
    "an expectation without a signature": (
        b"POST /webhooks/metriport HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
        401,
    ),
    "HTTP/1.0": (request(b"GET /p-secret HTTP/1.0"), 404),
}


@pytest.mark.parametrize(("sent", "status"), HEAD.values(), ids=HEAD.keys())
async def test_whatever_is_sent_the_answer_is_ours_and_quotes_nothing(connect, said, kafka, sent, status):
    reader, writer = await connect()

    writer.write(sent)

    head, body = await answer(reader)
    assert re.match(rb"HTTP/1\.[01] %d [A-Z]" % status, head), head
    assert b"\r\nServer: metriport-streams\r\n" in head
    assert b"\r\nContent-Type: application/json\r\n" in head
    assert json.loads(body).keys() == {"error"}
    told = head + body + said().encode()
    assert not re.search(rb"secret|aiohttp|[Pp]ython|Traceback", told), told
    assert kafka.asked == 0


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the head of the next answer, and its body."""
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        return head, await reader.readexactly(int(re.search(rb"Content-Length: (\d+)", head)[1]))


async def test_a_sender_that_waits_until_its_body_is_wanted_is_told_so(connect, kafka):
    reader, writer = await connect()
    writer.write(TO_US + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(BODY))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"

    writer.write(BODY)

    assert (await answer(reader))[1] == b"{}"
    assert kafka.published[0].value == BODY


async def test_an_expectation_that_nobody_knows_keeps_no_delivery_out(connect, kafka):
    reader, writer = await connect()

    writer.write(TO_US + b"Expect: p-secret\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)

    assert (await answer(reader))[1] == b"{}"
    assert kafka.published[0].value == BODY


async def test_a_sender_that_has_nothing_more_to_say_still_hears_the_answer(connect, kafka):
    reader, writer = await connect()

    writer.write(TO_US + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
    writer.write_eof()

    assert (await answer(reader))[1] == b"{}"
    assert await reader.read() == b""
    assert kafka.published[0].value == BODY


@pytest.mark.parametrize("target", [b"http://elsewhere/webhooks/metriport", b"/webhooks/metriport?x#y"])
async def test_a_delivery_by_another_name_of_the_same_place_is_kept(connect, kafka, target):
    reader, writer = await connect()

    writer.write(TO_US.replace(b"/webhooks/metriport", target) + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)

    assert (await answer(reader))[1] == b"{}"
    assert kafka.published[0].value == BODY
