"""Releases records from quarantine, or drops them: decisions in `release.<stage>`, which its stage reads.

Nothing else is written but `audit`: a stage's inputs stay what was received, its outputs are its own.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError

from cli import audit
from cli.connection import decisions
from cli.quarantine.held import Held
from cli.reading import existing, read, spans
from models import decisions as words
from models import headers, topics
from models.settings import KafkaSettings

Place: TypeAlias = tuple[TopicPartition | None, int]

ATTEMPTS_MAX = 5  # a record that failed as often is released by its own name only

_GO_ON = "What it took stays decided; the same command does the rest."

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


class Released(NamedTuple):
    """How many records were released, and how many their source no longer has, or no topic takes any more."""

    written: int
    lost: int


async def release(settings: KafkaSettings, chosen: Sequence[Held]) -> Released:
    """Write these, sorted by stage, into `release.<stage>`, as they first were.

    Several that are parts of one record release that once to each stage. What was written stays released, whatever ends
    this; raise `Unreachable` if Kafka goes away.
    """
    await audit.tell(settings, "quarantine release", f"{len(chosen)} records, begun", stage=_stages(chosen))
    places: dict[Place, list[Held]] = {}
    for one in chosen:
        at = (_quarantine(settings, one), one.offset) if one.is_whole else (one.source, one.source_offset)
        places.setdefault(at, []).append(one)
    written = 0
    async with decisions(settings, then=_GO_ON) as producer, aclosing(_each(settings, places)) as found:
        async for meant, record in found:
            for _, (first, *others) in groupby(meant, key=lambda one: one.stage):
                try:
                    await _send_release(producer, settings, first, record)
                except MessageSizeTooLargeError:
                    continue  # its topic takes less than stands in quarantine; the others are not kept waiting
                for other in others:
                    await _send_drop(producer, settings, other, f"released with {first.place}")
                written += 1 + len(others)
    await audit.tell(settings, "quarantine release", f"{written} records released", stage=_stages(chosen))
    return Released(written, len(chosen) - written)


async def drop(settings: KafkaSettings, chosen: Sequence[Held], because: str) -> None:
    """Write into `release.<stage>` that these are done with; they stay in quarantine. Raise `Unreachable`."""
    said = f"{len(chosen)} records dropped: {because}"
    await audit.tell(settings, "quarantine drop", said, stage=_stages(chosen))
    async with decisions(settings, then=_GO_ON) as producer:
        for one in chosen:
            await _send_drop(producer, settings, one, because)


async def _send_release(
    producer: AIOKafkaProducer,
    settings: KafkaSettings,
    one: Held,
    record: Any,  # noqa: ANN401 - aiokafka has no types
) -> None:
    given = record.headers if one.is_whole else [*record.headers, *_position(one, record)]
    await producer.send_and_wait(
        settings.topic_prefix + topics.release(one.stage),
        record.value,
        key=record.key,
        partition=one.partition,
        headers=as_released(one.place, given),
    )


async def _send_drop(producer: AIOKafkaProducer, settings: KafkaSettings, one: Held, because: str) -> None:
    at = headers.timestamp(datetime.now(UTC))
    value = {"decision": words.DROP, "place": one.place, "because": because, "at": at}
    await producer.send_and_wait(
        settings.topic_prefix + topics.release(one.stage),
        json.dumps(value).encode(),
        key=one.key,
        partition=one.partition,
        headers=[(headers.CONTENT_TYPE, headers.JSON)],
    )


def as_released(place: str, given: Sequence[headers.Header]) -> list[headers.Header]:
    """Return the headers with which a record is released that stands at `place`, with `given`, in quarantine."""
    kept = [header for header in given if header[0] not in {headers.RELEASED, headers.SOURCE}]
    return [*kept, (headers.RELEASED, place.encode())]


def _position(one: Held, record: Any) -> list[headers.Header]:  # noqa: ANN401 - aiokafka has no types
    """Return what quarantine said of a record that is read from its source."""
    said = (record.topic, record.partition, record.offset, record.timestamp, one.attempt)
    return [(name, str(value).encode()) for name, value in zip(_POSITION, said, strict=True)]


async def _each(
    settings: KafkaSettings, wanted: Mapping[Place, list[Held]]
) -> AsyncGenerator[tuple[list[Held], Any], None]:
    """Yield each record that still stands at one of these places, with what is wanted of it."""
    offsets: dict[TopicPartition, list[int]] = {}
    for place, offset in wanted:
        if place is not None:
            offsets.setdefault(place, []).append(offset)
    there = await existing(settings, sorted({place.topic for place in offsets}))
    limits = await spans(settings, [place for place in there if place in offsets])
    ranges = {
        place: (max(first, min(offsets[place])), min(end, max(offsets[place]) + 1))
        for place, (first, end) in limits.items()
    }
    async with aclosing(read(settings, ranges)) as pieces:
        async for place, records, _ in pieces:
            for record in records:
                if (meant := wanted.get((place, record.offset))) is not None:
                    yield meant, record


def _quarantine(settings: KafkaSettings, one: Held) -> TopicPartition:
    return TopicPartition(settings.topic_prefix + topics.quarantine(one.stage), one.partition)


def _stages(chosen: Sequence[Held]) -> str:
    return ",".join(sorted({one.stage for one in chosen}))
