"""Moving what waits to Kafka, in order and to the last."""

import asyncio

import pytest

from ingress.draining import Drain
from ingress.records import Delivery
from ingress.session import NotPublished
from ingress.spool_file import Row, SpoolFull
from models.errors import TooLarge

from .conftest import until

BATCH = 4


class FakeQueue:
    """A spool that remembers what was removed and what was set aside."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.aside: list[Row] = []
        self.pending = 0
        self.usable = True
        self.remove_trouble: list[Exception] = []

    @property
    def backlog(self) -> int:
        return len(self.rows) + self.pending

    def put(self, *names: str) -> None:
        for name in names:
            self.rows.append(Row(len(self.rows) + 1, 0, Delivery(name.encode(), "2026-01-02T03:04:05.000Z")))

    async def head(self, count_max: int) -> list[Row]:
        return self.rows[:count_max]

    async def remove(self, last: Row) -> None:
        if self.remove_trouble:
            raise self.remove_trouble.pop(0)
        self.rows = [row for row in self.rows if row.id > last.id]

    async def hold(self, row: Row) -> None:
        self.rows.remove(row)
        self.aside.append(row)

    async def changed(self) -> None:
        await asyncio.sleep(0)


@pytest.fixture
def waiting() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def drained(waiting, kafka, monkeypatch):
    """Run the drain until nothing waits; returns the values Kafka got."""
    monkeypatch.setattr("ingress.draining.RETRY_S", 0)

    async def until_empty() -> list[bytes]:
        gate = asyncio.Event()
        gate.set()
        running = asyncio.create_task(Drain(waiting, kafka, gate, batch_max=BATCH, body_bytes_max=1_000_000).run())
        await until(lambda: not waiting.backlog)
        assert gate.is_set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return [record.value for record in kafka.published]

    return until_empty


async def test_everything_is_moved_oldest_first(waiting, drained):
    names = [f"m-{number}" for number in range(11)]
    waiting.put(*names)

    assert await drained() == [name.encode() for name in names]


async def test_a_step_that_kafka_does_not_acknowledge_is_moved_again(waiting, kafka, drained):
    waiting.put("m-1", "m-2")
    kafka.trouble = [NotPublished("timeout")]

    assert await drained() == [b"m-1", b"m-2"]
    assert kafka.asked == 2


async def test_a_delivery_the_broker_refuses_for_its_size_is_set_aside_and_the_others_go_on(waiting, kafka, drained):
    waiting.put("m-1", "too large", "m-3")
    publish = kafka.publish

    async def refuse_one(records, *, timeout_s):
        if any(record.value == b"too large" for record in records):
            raise TooLarge
        await publish(records, timeout_s=timeout_s)

    kafka.publish = refuse_one

    assert await drained() == [b"m-1", b"m-3"]
    assert [row.delivery.body for row in waiting.aside] == [b"too large"]


async def test_what_was_moved_is_not_moved_again_when_it_cannot_be_removed_at_once(waiting, kafka, drained):
    waiting.put("m-1")
    waiting.remove_trouble = [SpoolFull(), SpoolFull()]

    assert await drained() == [b"m-1"]
    assert kafka.asked == 1


async def test_the_gate_is_closed_while_the_last_ones_are_moved(waiting, kafka, monkeypatch):
    monkeypatch.setattr("ingress.draining.RETRY_S", 0)
    gate, closed = asyncio.Event(), []
    gate.set()
    waiting.put(*(f"m-{number}" for number in range(BATCH + 1)))
    publish = kafka.publish

    async def look(records, *, timeout_s):
        closed.append(not gate.is_set())
        await publish(records, timeout_s=timeout_s)

    kafka.publish = look
    running = asyncio.create_task(Drain(waiting, kafka, gate, batch_max=BATCH, body_bytes_max=1_000_000).run())
    await until(lambda: not waiting.backlog and gate.is_set())

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert closed == [False, True]
