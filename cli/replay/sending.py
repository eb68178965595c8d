"""Sends what a plan says, each record once: records and progress are one Kafka transaction.

Readers must read with `isolation.level=read_committed`; others see what a transaction that was given up had written.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import stamina
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    InvalidProducerEpoch,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import OffsetAndMetadata

from cli import reading
from cli.broker.errors import Unreachable
from cli.connection import administration
from cli.replay.identities import identities
from cli.replay.plan import Plan
from cli.replay.planning import chosen
from models import headers, topics
from models.errors import MetriportStreamsError, Misconfigured
from models.security import client_options
from models.settings import KafkaSettings

TRANSACTION_RECORDS_MAX = 500
TRANSACTION_BYTES_MAX = 8 * 2**20  # of values; a larger record is a transaction of its own
TRANSACTION_TIMEOUT_MS = 60_000
REQUEST_TIMEOUT_MS = 30_000
COORDINATOR_TIMEOUT_S = 30.0

Told = Callable[[int], None]


@dataclass(slots=True)
class Progress:
    """How much of a plan was sent, by this run and by those before it."""

    planned: int
    before: int = 0
    now: int = 0

    @property
    def sent(self) -> int:
        """All records sent so far."""
        return self.before + self.now


class Superseded(MetriportStreamsError):
    """Another run of the same plan has taken over."""


async def apply(
    settings: KafkaSettings,
    plan: Plan,
    to: str,
    progress: Progress,
    *,
    rate: float | None = None,
    at_most: int | None = None,
    told: Told = lambda _sent: None,
) -> None:
    """Send what is left of a plan to topic `to`, at most `rate` records a second, `at_most` in this run.

    `progress` is kept up to date, whatever ends this. Raise `Misconfigured` if plan and Kafka do not fit,
    `Superseded` if another run of the plan goes on, `Unreachable` if Kafka goes away.
    """
    count = await _target(settings, plan, to)
    async with _producer(settings, plan) as producer:
        emitter = _Emitter(producer, plan, to, count)
        # Only now: what a run before has left unfinished is given up, and its progress stands.
        done = await _done(settings, plan)
        ranges = {
            TopicPartition(span.topic, span.partition): (_begin(span.begin, done, span), span.end)
            for span in plan.spans
            if span.selected
        }
        progress.before = sum(_count(offset) for offset in done.values())
        told(progress.sent)
        left = {place: (begin, end) for place, (begin, end) in ranges.items() if begin < end}
        if lost := list(await reading.forgotten(settings, {place: begin for place, (begin, _) in left.items()})):
            raise Misconfigured(
                f"{lost[0].topic} no longer holds what the plan begins with (retention): make a new plan."
            )
        known = {TopicPartition(span.topic, span.partition): (span.begin, span.end) for span in plan.missing_in_spans}
        there = await identities(settings, known)
        counts = {place: _count(done[place]) if place in done else 0 for place in ranges}
        pace = _Pace(rate)
        async with aclosing(chosen(settings, left, plan.selection, there)) as pieces:
            async for place, meant, _, position in pieces:
                for piece, end in _pieces(meant, position, at_most=_room(at_most, progress), rate=rate):
                    counts[place] += len(piece)
                    await emitter.send(piece, place, OffsetAndMetadata(end, str(counts[place])))
                    progress.now += len(piece)
                    told(progress.sent)
                    await pace.wait(len(piece))
                if at_most is not None and progress.now >= at_most:
                    return


def _room(at_most: int | None, progress: Progress) -> int | None:
    return None if at_most is None else at_most - progress.now


def _begin(begin: int, done: dict[TopicPartition, OffsetAndMetadata], span: Any) -> int:  # noqa: ANN401
    committed = done.get(TopicPartition(span.topic, span.partition))
    return begin if committed is None else max(begin, committed.offset)


def _count(committed: OffsetAndMetadata) -> int:
    """Return how many records of a partition were sent: it is written beside the offset."""
    return int(committed.metadata) if committed.metadata.isdigit() else 0


def _pieces(
    records: Sequence[Any], position: int, *, at_most: int | None, rate: float | None
) -> list[tuple[Sequence[Any], int]]:
    """Return what goes into one transaction each, with the offset that its partition is done up to."""
    wanted = records if at_most is None else records[: max(at_most, 0)]
    records_max = TRANSACTION_RECORDS_MAX if rate is None else max(1, min(TRANSACTION_RECORDS_MAX, int(rate)))
    pieces: list[list[Any]] = []
    room = 0
    for record in wanted:
        size = len(record.value or b"")
        if not pieces or len(pieces[-1]) == records_max or size > room:
            pieces.append([])
            room = TRANSACTION_BYTES_MAX
        pieces[-1].append(record)
        room -= size
    ends = [piece[-1].offset + 1 for piece in pieces]
    if ends and len(wanted) == len(records):
        ends[-1] = position
    return list(zip(pieces, ends, strict=True))


@dataclass(frozen=True, slots=True)
class _Emitter:
    """Writes records and how far their partition is sent, both or neither."""

    producer: AIOKafkaProducer
    plan: Plan
    to: str
    partitions: int

    async def send(self, records: Sequence[Any], place: TopicPartition, done: OffsetAndMetadata) -> None:
        """Write records of `place`, in order; a patient's stay in one partition."""
        mark = (headers.REEMITTED_BY, self.plan.plan_id.encode())
        try:
            async with self.producer.transaction():
                sent = [
                    await self.producer.send(
                        self.to,
                        record.value,
                        key=record.key,
                        partition=place.partition % self.partitions,
                        headers=[*(header for header in record.headers if header[0] != headers.REEMITTED_BY), mark],
                    )
                    for record in records
                ]
                await asyncio.gather(*sent)
                await self.producer.send_offsets_to_transaction({place: done}, self.plan.group)
        except MessageSizeTooLargeError:
            raise Misconfigured(
                f"{self.to} does not take a record of {place.topic}: set its max.message.bytes as high as there."
            ) from None
        except (ProducerFenced, InvalidProducerEpoch):
            raise Superseded from None


async def _target(settings: KafkaSettings, plan: Plan, to: str) -> int:
    """Return the partition count of the topic to send to; raise `Misconfigured` if nothing may be sent there."""
    ours = {settings.topic_prefix + topic.name for topic in topics.catalogue()}
    if to in ours or (settings.topic_prefix and to.startswith(settings.topic_prefix)) or to.startswith("__"):
        raise Misconfigured(f"{to} is the service's own: each of its topics has one writer. Name a topic of yours.")
    if plan.cluster != await reading.cluster(settings):
        raise Misconfigured("The plan was made for another Kafka cluster.")
    async with administration(settings) as admin:
        [described] = await admin.describe_topics([to])
    if described["error_code"]:
        raise Misconfigured(
            f"There is no topic {to}. Create it first, with {settings.topic_partitions} partitions, so that each"
            " patient's records stay in order."
        )
    return len(described["partitions"])


async def _done(settings: KafkaSettings, plan: Plan) -> dict[TopicPartition, OffsetAndMetadata]:
    """Return how far the plan was sent, by partition."""
    async with administration(settings) as admin:
        # A Kafka that has had no group so far makes the topic for their offsets now, and says so until it has.
        async for attempt in stamina.retry_context(on=GroupCoordinatorNotAvailableError, timeout=COORDINATOR_TIMEOUT_S):
            with attempt:
                found = await admin.list_consumer_group_offsets(plan.group)
    return {place: committed for place, committed in found.items() if committed.offset >= 0}


@asynccontextmanager
async def _producer(settings: KafkaSettings, plan: Plan) -> AsyncGenerator[AIOKafkaProducer, None]:
    producer = AIOKafkaProducer(
        transactional_id=plan.group,
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        max_request_size=settings.record_bytes_max + topics.QUARANTINE_ROOM_BYTES,
        max_batch_size=2**18,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        **client_options(settings),
    )
    try:
        await producer.start()
        yield producer
    except UnknownTopicOrPartitionError:
        raise Misconfigured("The topic to send to is gone.") from None
    except (KafkaError, TimeoutError, OSError) as problem:
        raise Unreachable(
            f"Kafka at {settings.kafka_bootstrap_servers} did not take all: {type(problem).__name__}. The same command"
            " goes on where this one ended."
        ) from None
    finally:
        await producer.stop()


class _Pace:
    """Holds a rate: waits as long as what was sent would have taken."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._due = time.monotonic()

    async def wait(self, records: int) -> None:
        if self._rate is not None:
            self._due = max(self._due, time.monotonic() - 1) + records / self._rate
            await asyncio.sleep(max(0.0, self._due - time.monotonic()))
