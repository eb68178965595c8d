"""Senders that do not keep to HTTP, over a bare socket."""

import asyncio

import pytest
import pytest_asyncio

from models import signature

from .conftest import BODY_BYTES_MAX, KEYS, until

SECRET = b'{"patientId": "p-secret"}'


@pytest_asyncio.fixture
async def connect(ingress):
    """Open a connection; all are closed at the end."""
    opened = []

    async def open_one() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(ingress.host, ingress.port)
        opened.append(writer)
        return reader, writer

    yield open_one
    for writer in opened:
        writer.close()


def head(*lines: str, body: bytes = SECRET) -> bytes:
    signed = f"{signature.HEADER}: {signature.sign(body, key=KEYS[0])}"
    return "\r\n".join(("POST /webhooks/metriport HTTP/1.1", "Host: x", signed, *lines, "", "")).encode()


async def test_a_length_that_says_too_little_is_refused_and_the_rest_appears_nowhere(connect, kafka, said):
    reader, writer = await connect()

    writer.write(head("Content-Length: 5") + SECRET)

    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert kafka.asked == 0
    assert "secret" not in said()


async def test_a_length_that_says_too_much_is_refused_at_the_deadline(connect, kafka):
    reader, writer = await connect()

    writer.write(head("Content-Length: 1000") + SECRET)

    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'{"error":"slow_body"}' in answer
    assert kafka.asked == 0


async def test_a_length_over_the_limit_is_refused_before_anything_is_sent(connect):
    reader, writer = await connect()

    writer.write(head(f"Content-Length: {BODY_BYTES_MAX * 1000}"))

    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in answer


async def test_a_body_without_end_is_not_read_far_past_the_limit(connect):
    reader, writer = await connect()
    writer.write(head("Transfer-Encoding: chunked"))
    sent = 0

    async def flood() -> None:
        nonlocal sent
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent += 65536
            await writer.drain()

    flooding = asyncio.create_task(flood())
    answer = await reader.readuntil(b"}")

    flooding.cancel()
    await asyncio.gather(flooding, return_exceptions=True)
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_sender_that_goes_away_in_the_middle_leaves_nothing_behind(connect, deliver, kafka, admit):
    _, writer = await connect()
    writer.write(head("Content-Length: 1000") + SECRET)
    await writer.drain()
    writer.close()

    answer = await deliver(admit())

    assert answer == (200, {})
    assert [record.value for record in kafka.published] == [admit()]


@pytest.mark.parametrize(
    "line", [b"\x16\x03\x01\x00secret\r\n\r\n", b"secret secret\r\n\r\n", b"GET /secret HTTP/9\r\n\r\n"]
)
async def test_what_is_not_http_is_closed_and_appears_nowhere(connect, said, line):
    reader, writer = await connect()

    writer.write(line)

    assert b" 400 " in await reader.read()
    assert "secret" not in said()


async def test_a_delivery_whose_sender_left_before_the_answer_is_kept_all_the_same(connect, kafka):
    kafka.acknowledging.clear()
    _, writer = await connect()
    writer.write(head(f"Content-Length: {len(SECRET)}") + SECRET)
    await until(lambda: kafka.asked)
    writer.close()
    await writer.wait_closed()

    kafka.acknowledging.set()

    await until(lambda: kafka.published)
    assert kafka.published[0].value == SECRET


async def test_two_deliveries_on_one_connection_are_both_kept(connect, kafka):
    reader, writer = await connect()
    request = head(f"Content-Length: {len(SECRET)}") + SECRET

    writer.write(request + request)

    await reader.readuntil(b"{}")
    await reader.readuntil(b"{}")
    assert len(kafka.published) == 2
