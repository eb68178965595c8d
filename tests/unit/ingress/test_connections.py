"""Senders that do not keep to HTTP, over a bare socket."""

import asyncio

import pytest
from aiohttp import web

from models import signature

from .conftest import BODY_BYTES_MAX, KEYS, LIMITS, until

NAME = signature.HEADER.encode()
SECRET = b'{"patientId": "p-secret"}'


def head(*lines: str, body: bytes = SECRET) -> bytes:
    signed = f"{signature.HEADER}: {signature.sign(body, key=KEYS[0])}"
    return "\r\n".join(("POST /webhooks/metriport HTTP/1.1", "Host: x", signed, *lines, "", "")).encode()


async def test_a_length_that_says_too_little_is_refused_and_the_rest_appears_nowhere(connect, kafka, said):
    reader, writer = await connect()

    writer.write(head("Content-Length: 5") + SECRET)

    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.endswith(b'{"error":"bad_request"}')
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


UNSIGNED = b"POST /webhooks/metriport HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
PATIENT = LIMITS | {"head_timeout_s": 60}
SMALLEST = PATIENT | {"connections_max": 10}


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"%s: \r\n" % NAME, id="empty"),
        pytest.param(b"%s: %s\r\n" % (NAME, b"0" * 63), id="short"),
        pytest.param(b"%s: %s\r\n" % (NAME, b"0" * 65), id="long"),
        pytest.param(b"%s: %s\r\n" % (NAME, b"A" * 64), id="upper case"),
        pytest.param(b"%s: sha256=%s\r\n" % (NAME, b"0" * 64), id="with a word before it"),
        pytest.param(b"%s: %s\r\n%s: %s\r\n" % (NAME, b"0" * 64, NAME, b"0" * 64), id="two"),
        pytest.param(b"%s: %s, %s\r\n" % (NAME, b"0" * 64, b"0" * 64), id="two in one"),
    ],
)
async def test_without_one_well_formed_signature_a_body_is_refused_before_it_is_sent(connect, header):
    reader, writer = await connect()

    writer.write(UNSIGNED + header + b"\r\n")

    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.endswith(b'{"error":"bad_signature"}')


async def test_a_head_of_exactly_the_limit_is_read(connect):
    reader, writer = await connect()
    start, end = b"GET /live HTTP/1.1\r\nHost: x\r\na: ", b"\r\n\r\n"

    writer.write(start + b"x" * (LIMITS["head_bytes_max"] - len(start + end)) + end)

    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("limits", [PATIENT])
async def test_a_head_that_arrives_byte_by_byte_is_read(connect, kafka):
    reader, writer = await connect()
    for byte in head(f"Content-Length: {len(SECRET)}") + SECRET:
        writer.write(bytes([byte]))
        await writer.drain()

    await reader.readuntil(b"{}")

    assert kafka.published[0].value == SECRET


@pytest.mark.parametrize("limits", [PATIENT])
async def test_a_head_without_end_is_held_no_further_than_the_limit(connect):
    reader, writer = await connect()

    async def flood() -> None:
        while True:
            writer.write(b"a: " + b"x" * 1000 + b"\r\n")
            await writer.drain()

    writer.write(b"GET / HTTP/1.1\r\n")
    flooding = asyncio.create_task(flood())
    answer = await asyncio.wait_for(reader.readuntil(b"}"), 5)

    flooding.cancel()
    await asyncio.gather(flooding, return_exceptions=True)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert answer.endswith(b'{"error":"head_too_large"}')


@pytest.mark.parametrize("before", [b"", b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["first", "second"])
async def test_a_head_that_drips_is_refused_at_the_deadline(connect, before):
    reader, writer = await connect()
    writer.write(before)

    async def drip() -> None:
        writer.write(b"GET / HTTP/1.1\r\n")
        while True:
            writer.write(b"a: b\r\n")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    answer = await asyncio.wait_for(reader.readuntil(b'slow_head"}'), 5)

    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)
    assert b"HTTP/1.1 408 " in answer


async def test_a_body_that_is_no_chunk_is_refused_at_once(connect, kafka):
    reader, writer = await connect()
    writer.write(head("Transfer-Encoding: chunked") + b"5\r\nabcde\r\n")
    await asyncio.sleep(0)

    writer.write(b"secret")

    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert kafka.asked == 0


async def test_a_connection_ends_with_a_body_in_chunks_and_what_came_behind_it_is_not_read(connect, kafka):
    reader, writer = await connect()
    chunked = head("Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(SECRET), SECRET)

    writer.write(chunked + chunked)

    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert b"Connection: close" in answer
    assert len(kafka.published) == 1


async def test_what_comes_behind_a_request_is_held_no_further_than_a_head_may_be_large(connect, kafka):
    kafka.acknowledging.clear()
    reader, writer = await connect()
    writer.write(head(f"Content-Length: {len(SECRET)}") + SECRET)
    await until(lambda: kafka.asked)
    writer.write(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
    await writer.drain()

    kafka.acknowledging.set()

    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert kafka.published[0].value == SECRET


async def test_a_sender_that_reads_no_answers_is_cut_off(connect):
    _, writer = await connect()
    writer.transport.pause_reading()

    async def ask() -> None:
        while True:
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            await writer.drain()

    asking = asyncio.create_task(ask())
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(asking, 20)


@pytest.mark.parametrize("limits", [SMALLEST])
async def test_one_connection_too_many_closes_the_one_that_has_waited_longest(connect, deliver, admit):
    waiting = [await connect() for _ in range(10)]
    for _, writer in waiting[::2]:
        writer.write(b"GET / HTTP/1.1\r\n")

    answer = await deliver(admit())

    assert answer == (200, {})
    assert await asyncio.wait_for(waiting[0][0].read(), 5) == b""
    assert not any(reader.at_eof() for reader, _ in waiting[1:])


@pytest.mark.parametrize("limits", [SMALLEST])
async def test_bodies_that_are_under_way_make_room_when_there_is_nothing_else(connect, deliver, admit):
    reading = [await connect() for _ in range(10)]
    for _, writer in reading:
        writer.write(UNSIGNED + b"%s: %s\r\nExpect: 100-continue\r\n\r\n" % (NAME, b"0" * 64))
    for reader, _ in reading:
        await reader.readuntil(b"100 Continue\r\n\r\n")

    answer = await deliver(admit())

    assert answer == (200, {})
    assert await asyncio.wait_for(reading[0][0].read(), 5) == b""


@pytest.mark.parametrize("limits", [SMALLEST])
async def test_a_connection_that_has_delivered_makes_room_for_nobody_who_has_not(connect, deliver, admit, kafka):
    reader, writer = await connect()
    for _ in range(2):
        writer.write(head(f"Content-Length: {len(SECRET)}") + SECRET)
        await asyncio.wait_for(reader.readuntil(b"{}"), 5)
        for _ in range(30):
            await connect()

    answer = await deliver(admit())

    assert answer == (200, {})
    assert [record.value for record in kafka.published] == [SECRET, SECRET, admit()]
    assert not reader.at_eof()


@pytest.mark.parametrize("limits", [SMALLEST])
async def test_a_complete_request_makes_no_room_for_others(connect, kafka):
    kafka.acknowledging.clear()
    busy = [await connect() for _ in range(10)]
    for _, writer in busy:
        writer.write(head(f"Content-Length: {len(SECRET)}") + SECRET)
    await until(lambda: kafka.asked == 10)

    one_too_many, _ = await connect()

    assert await asyncio.wait_for(one_too_many.read(), 5) == b""
    kafka.acknowledging.set()
    for reader, _ in busy:
        await asyncio.wait_for(reader.readuntil(b"{}"), 5)


@pytest.mark.parametrize("limits", [SMALLEST])
async def test_a_hundred_connections_at_once_keep_no_delivery_out(connect, deliver, admit):
    for _ in range(100):
        _, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\n")

    assert [await deliver(admit()) for _ in range(10)] == [(200, {})] * 10


def test_the_private_names_of_aiohttp_that_a_senders_connection_needs_are_there():
    assert {"_messages", "_close", "_force_close", "_loop"} <= {
        name for kind in web.RequestHandler.__mro__ for name in getattr(kind, "__slots__", ())
    }
