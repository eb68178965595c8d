"""Where a delivery is kept, and what goes first."""

import asyncio

import pytest

from ingress.records import Delivery
from ingress.session import NotPublished, Unavailable
from ingress.spool_file import SpoolFull
from ingress.spool_writer import SpoolFailed
from models import envelope
from models.errors import CannotKeep

RECEIVED_AT = "2026-01-02T03:04:05.000Z"


def delivery(name: str) -> Delivery:
    return Delivery(f'{{"meta": {{"messageId": "{name}"}}}}'.encode(), RECEIVED_AT)


@pytest.fixture
def keep(keeper):
    async def one(name: str) -> str:
        found = delivery(name)
        return await keeper.keep(found, envelope.read(found.body))

    return one


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_delivery_goes_to_kafka_when_nothing_waits(keep, spool):
    assert await keep("m-1") == "kafka"
    assert spool.held == []


async def test_a_delivery_goes_behind_those_that_wait_though_kafka_is_back(keep, kafka, spool):
    spool.held = [delivery("m-0")]

    assert await keep("m-1") == "spool"
    assert spool.held == [delivery("m-0"), delivery("m-1")]
    assert kafka.asked == 0


async def test_a_delivery_of_unknown_outcome_is_spooled(keep, kafka, spool):
    kafka.trouble = [NotPublished("timeout")]

    assert await keep("m-1") == "spool"
    assert spool.held == [delivery("m-1")]


async def test_a_delivery_is_spooled_when_there_is_no_producer(keep, kafka):
    kafka.trouble = [Unavailable()]

    assert await keep("m-1") == "spool"


async def test_those_that_came_first_are_spooled_first(keep, kafka, spool):
    kafka.acknowledging.clear()
    kafka.trouble = [NotPublished("timeout"), NotPublished("timeout")]
    first = [asyncio.create_task(keep(name)) for name in ("m-1", "m-2")]
    await settle()
    kafka.state = "slow"
    third = asyncio.create_task(keep("m-3"))
    await settle()
    assert spool.held == []

    kafka.acknowledging.set()

    assert await asyncio.gather(*first, third) == ["spool"] * 3
    assert spool.held == [delivery("m-1"), delivery("m-2"), delivery("m-3")]


async def test_a_delivery_waits_at_the_gate_and_then_goes_the_direct_way(keep, keeper, kafka, spool):
    keeper.gate.clear()
    waiting = asyncio.create_task(keep("m-1"))
    await settle()
    assert (kafka.asked, spool.held) == (0, [])

    keeper.gate.set()

    assert await waiting == "kafka"


async def test_a_gate_that_stays_closed_is_not_waited_for_too_long(keep, keeper, spool):
    keeper.gate.clear()
    spool.held = [delivery("m-0")]

    assert await keep("m-1") == "spool"


@pytest.mark.parametrize("trouble", [SpoolFull(), SpoolFailed()])
async def test_a_delivery_that_neither_way_takes_is_refused(keep, kafka, spool, trouble):
    kafka.state, spool.trouble = "away", trouble

    with pytest.raises(CannotKeep):
        await keep("m-1")


async def test_a_disk_that_takes_too_long_is_not_waited_for(keep, kafka, spool, monkeypatch):
    kafka.state = "away"
    monkeypatch.setattr(spool, "write", lambda _: asyncio.Event().wait())

    with pytest.raises(CannotKeep):
        await keep("m-1")


async def test_a_spool_that_cannot_be_read_does_not_keep_deliveries_from_kafka(keep, spool):
    spool.held, spool.state = [delivery("m-0")], "damaged"

    assert await keep("m-1") == "kafka"
