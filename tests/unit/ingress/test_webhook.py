"""The webhook route as a sender sees it."""

import asyncio
import gzip
import json

import pytest
from aiohttp import ClientSession

from ingress.session import NotPublished
from ingress.spool_file import SpoolFull
from models import samples, signature
from models.errors import TooLarge

from .conftest import BODY_BYTES_MAX, KEYS, SMALL_BYTES, until

DEEP = b'{"meta": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"


def padded(size: int) -> bytes:
    start, end = b'{"meta":{"messageId":"m-1","type":"t"},"x":"', b'"}'
    return start + b"x" * (size - len(start) - len(end)) + end


async def test_a_signed_delivery_is_kept_byte_for_byte(deliver, kafka, admit):
    answer = await deliver(admit())

    assert answer == (200, {})
    assert [record.value for record in kafka.published] == [admit()]


@pytest.mark.parametrize("name", [name for name in samples.names() if name != "ping"])
async def test_every_sample_is_kept_and_answered_200(deliver, kafka, name):
    body = samples.encode(samples.load(name))

    answer = await deliver(body)

    assert answer == (200, {})
    assert [record.value for record in kafka.published] == [body]


async def test_every_configured_key_is_accepted(deliver, admit):
    answer = await deliver(admit(), headers={signature.HEADER: signature.sign(admit(), key=KEYS[1])})

    assert answer == (200, {})


async def test_a_ping_is_answered_with_its_pong_and_needs_neither_kafka_nor_the_spool(deliver, kafka, spool):
    kafka.state, spool.trouble = "away", SpoolFull()

    answer = await deliver(b'{"meta": {"type": "ping"}, "ping": "V1StGXR8_Z5jdHi6B-myT"}')

    assert answer == (200, {"pong": "V1StGXR8_Z5jdHi6B-myT"})
    assert (kafka.asked, spool.held) == (0, [])


async def test_an_old_ping_without_meta_is_a_ping(deliver):
    assert await deliver(b'{"ping": "abc"}') == (200, {"pong": "abc"})


@pytest.mark.parametrize("more", ["patients", "users", "job", "data", "payload"])
async def test_a_delivery_that_holds_a_ping_beside_other_things_is_kept(deliver, kafka, more):
    body = json.dumps({"meta": {"type": "ping"}, "ping": "abc", more: [{"patientId": "p"}]}).encode()

    answer = await deliver(body)

    assert answer == (200, {})
    assert [record.value for record in kafka.published] == [body]


async def test_a_ping_with_nothing_to_answer_is_kept_like_any_delivery(deliver, kafka):
    answer = await deliver(b'{"meta": {"type": "ping"}}')

    assert answer == (200, {})
    assert len(kafka.published) == 1


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({signature.HEADER: None}, id="missing"),
        pytest.param({signature.HEADER: ""}, id="empty"),
        pytest.param({signature.HEADER: signature.sign(b"{}", key=b"other")}, id="of another key"),
        pytest.param({signature.HEADER: signature.sign(b"[]", key=KEYS[0])}, id="of another body"),
        pytest.param({signature.HEADER: signature.sign(b"{}", key=KEYS[0]).upper()}, id="upper case"),
        pytest.param({signature.HEADER: signature.sign(b"{}", key=KEYS[0])[:-1]}, id="short"),
        pytest.param({signature.HEADER: "\u00e9\u65e5" * 20}, id="not ascii"),
        pytest.param({signature.HEADER: "0" * 2000}, id="long"),
        pytest.param({signature.HEADER: "0" * 64}, id="of nothing"),
    ],
)
async def test_a_delivery_we_cannot_trust_is_refused_and_not_kept(deliver, kafka, spool, headers):
    answer = await deliver(b"{}", headers=headers)

    assert answer == (401, {"error": "bad_signature"})
    assert (kafka.asked, spool.held) == (0, [])


async def test_a_delivery_with_two_signatures_is_refused(session: ClientSession, kafka):
    right = signature.sign(b"{}", key=KEYS[0])
    headers = [(signature.HEADER, right), (signature.HEADER, right)]

    async with session.post("/webhooks/metriport", data=b"{}", headers=headers) as response:
        assert response.status == 401

    assert kafka.asked == 0


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate", "identity, gzip", "nonsense"])
async def test_an_encoded_body_is_refused(deliver, kafka, encoding):
    answer = await deliver(gzip.compress(b"{}"), headers={"Content-Encoding": encoding})

    assert answer == (415, {"error": "encoded_body"})
    assert kafka.asked == 0


@pytest.mark.parametrize("encoding", ["identity", "Identity", "identity, identity", ""])
async def test_a_body_of_which_it_is_said_that_it_is_not_encoded_is_kept(deliver, kafka, admit, encoding):
    answer = await deliver(admit(), headers={"Content-Encoding": encoding})

    assert answer == (200, {})
    assert [record.value for record in kafka.published] == [admit()]


async def test_a_body_of_exactly_the_limit_is_kept(deliver, kafka):
    answer = await deliver(padded(BODY_BYTES_MAX))

    assert answer == (200, {})
    assert len(kafka.published[0].value) == BODY_BYTES_MAX


@pytest.mark.parametrize("over", [1, 64 * 2**10, 800_000], ids=["one byte", "a little", "a lot"])
async def test_a_body_over_the_limit_is_refused(deliver, kafka, over):
    answer = await deliver(padded(BODY_BYTES_MAX + over))

    assert answer == (413, {"error": "too_large"})
    assert kafka.asked == 0


@pytest.mark.parametrize("over", [1, 64 * 2**10, 800_000], ids=["one byte", "a little", "a lot"])
async def test_a_chunked_body_over_the_limit_is_refused(deliver, kafka, over):
    body = padded(BODY_BYTES_MAX + over)

    async def chunks():
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    answer = await deliver(chunks(), signed=body)

    assert answer == (413, {"error": "too_large"})
    assert kafka.asked == 0


async def test_a_chunked_body_within_the_limit_is_kept(deliver, kafka):
    body = padded(100_000)

    async def chunks():
        for start in range(0, len(body), 7_000):
            yield body[start : start + 7_000]

    answer = await deliver(chunks(), signed=body)

    assert answer == (200, {})
    assert [record.value for record in kafka.published] == [body]


async def test_a_body_that_does_not_arrive_in_time_is_refused(deliver, kafka):
    async def never_ends():
        yield b"{"
        await asyncio.sleep(5)

    answer = await deliver(never_ends(), signed=b"{")

    assert answer == (408, {"error": "slow_body"})
    assert kafka.asked == 0


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not json", id="not json"),
        pytest.param(b"[1, 2]", id="not an object"),
        pytest.param(b'{"a": 1}', id="no meta"),
        pytest.param(b'{"meta": []}', id="meta a list"),
        pytest.param(b'{"meta": {"messageId": "m", "type": 7}}', id="type a number"),
        pytest.param(b'{"meta": {"messageId": "m", "type": "patient.reborn"}}', id="unknown type"),
        pytest.param(DEEP, id="10,000 deep"),
        pytest.param(b'{"meta": {"messageId": "a", "messageId": "b", "type": "t"}}', id="two message ids"),
        pytest.param(rb'{"meta": {"messageId": "\ud800", "type": "t"}}', id="a lone surrogate"),
        pytest.param(b'{"meta": {"messageId": "m", "type": "t"}, "x": NaN}', id="NaN"),
        pytest.param(b'{"meta": {"messageId": "m", "type": "t"}, "x": 18446744073709551616}', id="2^64"),
        pytest.param(b'{"x": ' + b"9" * 5000 + b"}", id="5,000 digits"),
        pytest.param(b'\xef\xbb\xbf{"meta": {}}', id="a byte order mark"),
        pytest.param(b'{"meta": {"type": "\xff"}}', id="not UTF-8"),
        pytest.param(b'{"meta": {"type": "a\\u0000b", "messageId": "a\\nb"}}', id="control characters"),
        pytest.param(json.dumps({"patients": [7, None, "x"]}).encode(), id="patients of other kinds"),
    ],
)
async def test_a_signed_body_that_nobody_can_map_is_kept_and_answered_200(deliver, kafka, body):
    answer = await deliver(body)

    assert answer == (200, {})
    assert {record.value for record in kafka.published} == {body}


async def test_fifty_equal_deliveries_at_once_are_all_kept(deliver, kafka, admit):
    answers = await asyncio.gather(*(deliver(admit()) for _ in range(50)))

    assert answers == [(200, {})] * 50
    assert len(kafka.published) == 50


async def test_a_delivery_that_kafka_does_not_acknowledge_is_spooled_whole(deliver, kafka, spool):
    body = b'{"patients": [{"patientId": "a"}, {"patientId": "b"}]}'
    kafka.trouble = [NotPublished("timeout")]

    answer = await deliver(body)

    assert answer == (200, {})
    assert [delivery.body for delivery in spool.held] == [body]


async def test_a_delivery_that_cannot_be_kept_is_refused(deliver, kafka, spool, admit):
    kafka.state, spool.trouble = "away", SpoolFull()

    answer = await deliver(admit())

    assert answer == (503, {"error": "cannot_keep"})


async def test_a_body_the_broker_will_never_take_is_refused_as_too_large(deliver, kafka, spool, admit):
    kafka.trouble = [TooLarge()]

    answer = await deliver(admit())

    assert answer == (413, {"error": "too_large"})
    assert spool.held == []


async def test_a_mistake_of_ours_is_answered_503_and_says_nothing_of_the_body(deliver, kafka, admit, said):
    kafka.trouble = [RuntimeError("with p-secret in it")]

    answer = await deliver(admit(patientId="p-secret"))

    assert answer == (503, {"error": "cannot_keep"})
    assert "p-secret" not in said()


async def test_more_large_bodies_at_once_than_we_hold_are_refused_at_once_and_small_ones_are_kept(deliver, kafka):
    kafka.acknowledging.clear()
    waiting = [asyncio.create_task(deliver(padded(BODY_BYTES_MAX))) for _ in range(3)]
    await until(lambda: kafka.asked == 3)
    waiting += [asyncio.create_task(deliver(padded(SMALL_BYTES))) for _ in range(20)]
    await until(lambda: kafka.asked == 23)

    answer = await deliver(padded(BODY_BYTES_MAX))

    kafka.acknowledging.set()
    assert answer == (503, {"error": "cannot_keep"})
    assert await asyncio.gather(*waiting) == [(200, {})] * 23
    assert await deliver(padded(BODY_BYTES_MAX)) == (200, {})


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/webhooks/metriport", 405, "method_not_allowed"),
        ("PUT", "/webhooks/metriport", 405, "method_not_allowed"),
        ("POST", "/ready", 405, "method_not_allowed"),
        ("GET", "/", 404, "not_found"),
        ("POST", "/webhooks/metriport/", 404, "not_found"),
    ],
)
async def test_any_other_request_is_refused_in_the_same_form(session: ClientSession, method, path, status, reason):
    async with session.request(method, path, data=b"{}") as response:
        assert response.status == status
        assert await response.json() == {"error": reason}
        assert response.headers["Server"] == "metriport-streams"
