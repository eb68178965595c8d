"""Releases records from quarantine, or drops them: decisions in `release.<stage>`, which its stage reads.

Nothing else is written but `audit`: a stage's inputs stay what was received, its outputs are its own.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from cli import audit
from cli.broker.errors import Unreachable
from cli.connection import REQUEST_TIMEOUT_MS
from cli.quarantine.held import DROP, Held
from cli.reading import partitions, read, spans
from models import headers, topics
from models.security import client_options
from models.settings import KafkaSettings

ATTEMPTS_MAX = 5  # a record that failed as often is released by its own name only

_POSITION = (
    headers.QUARANTINE_TOPIC,
    headers.QUARANTINE_PARTITION,
    headers.QUARANTINE_OFFSET,
    headers.QUARANTINE_TIMESTAMP,
    headers.QUARANTINE_ATTEMPT,
)


def obstacle(one: Held, *, named: bool) -> str:
    """Return why a record cannot be released, in words that go behind a count; nothing if it can."""
    if one.is_outcome:
        return "are what became of a link or a row, not records of a source: Metriport has to be asked again"
    if one.attempt >= ATTEMPTS_MAX and not named:
        return f"have failed {ATTEMPTS_MAX} times or more: release them by their names, if they are worth it"
    return ""


async def release(settings: KafkaSettings, chosen: Sequence[Held]) -> tuple[int, int]:
    """Write these into `release.<stage>`, as they first were; return how many, and how many their source has lost.

    Each that was written stays released, whatever ends this; raise `Unreachable` if Kafka goes away.
    """
    written = lost = 0
    await audit.tell(settings, "quarantine release", f"{len(chosen)} records, begun", stage=_stages(chosen))
    async with _producer(settings) as producer:
        whole = {(_quarantine(settings, one), one.offset): one for one in chosen if one.is_whole}
        async for one, record in _each(settings, whole):
            await _send_release(producer, settings, one, record, record.headers)
            written += 1
        parts = {(one.source, one.source_offset): one for one in chosen if not one.is_whole and one.source is not None}
        found = set[str]()
        async for one, record in _each(settings, parts):
            await _send_release(producer, settings, one, record, [*record.headers, *_position(one, record)])
            found.add(one.place)
        written += len(found)
        lost = len({one.place for one in parts.values()}) - len(found)
    await audit.tell(settings, "quarantine release", f"{written} records released", stage=_stages(chosen))
    return written, lost


async def drop(settings: KafkaSettings, chosen: Sequence[Held], because: str) -> None:
    """Write into `release.<stage>` that these are done with; they stay in quarantine. Raise `Unreachable`."""
    said = f"{len(chosen)} records dropped: {because}"
    await audit.tell(settings, "quarantine drop", said, stage=_stages(chosen))
    async with _producer(settings) as producer:
        for one in chosen:
            value = {
                "decision": DROP,
                "place": one.place,
                "because": because,
                "at": headers.timestamp(datetime.now(UTC)),
            }
            await producer.send(
                settings.topic_prefix + topics.release(one.stage),
                json.dumps(value).encode(),
                key=one.key,
                partition=one.partition,
                headers=[(headers.CONTENT_TYPE, headers.JSON)],
            )
        await producer.flush()


def as_released(place: str, given: Sequence[headers.Header]) -> list[headers.Header]:
    """Return the headers with which a record is released that stands at `place`, with `given`, in quarantine."""
    kept = [header for header in given if header[0] not in {headers.RELEASED, headers.SOURCE}]
    return [*kept, (headers.RELEASED, place.encode())]


async def _send_release(
    producer: AIOKafkaProducer,
    settings: KafkaSettings,
    one: Held,
    record: Any,  # noqa: ANN401 - aiokafka has no types
    given: Sequence[headers.Header],
) -> None:
    await producer.send_and_wait(
        settings.topic_prefix + topics.release(one.stage),
        record.value,
        key=record.key,
        partition=one.partition,
        headers=as_released(one.place, given),
    )


def _position(one: Held, record: Any) -> list[headers.Header]:  # noqa: ANN401 - aiokafka has no types
    """Return what quarantine said of a record that is read from its source."""
    said = (record.topic, record.partition, record.offset, record.timestamp, one.attempt)
    return [(name, str(value).encode()) for name, value in zip(_POSITION, said, strict=True)]


async def _each(
    settings: KafkaSettings, wanted: Mapping[tuple[TopicPartition, int], Held]
) -> AsyncIterator[tuple[Held, Any]]:
    """Yield each record that still stands at one of these places, with what is wanted of it."""
    if not wanted:
        return
    there = await partitions(settings, sorted({place.topic for place, _ in wanted}))
    limits = await spans(settings, there)
    ranges = {
        place: (
            max(limits[place][0], min(offset for at, offset in wanted if at == place)),
            min(limits[place][1], max(offset for at, offset in wanted if at == place) + 1),
        )
        for place in {place for place, _ in wanted} & set(limits)
    }
    async with aclosing(read(settings, ranges)) as pieces:
        async for place, records, _ in pieces:
            for record in records:
                if (one := wanted.get((place, record.offset))) is not None:
                    yield one, record


def _quarantine(settings: KafkaSettings, one: Held) -> TopicPartition:
    return TopicPartition(settings.topic_prefix + topics.quarantine(one.stage), one.partition)


def _stages(chosen: Sequence[Held]) -> str:
    return ",".join(sorted({one.stage for one in chosen}))


@asynccontextmanager
async def _producer(settings: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        acks="all",
        enable_idempotence=True,
        max_request_size=settings.record_bytes_max + topics.QUARANTINE_ROOM_BYTES,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        **client_options(settings),
    )
    try:
        await producer.start()
        yield producer
    except (KafkaError, TimeoutError, OSError) as problem:
        raise Unreachable(
            f"Kafka at {settings.kafka_bootstrap_servers} did not take all: {type(problem).__name__}. What it took"
            " stays decided; the same command does the rest."
        ) from None
    finally:
        await producer.stop()
