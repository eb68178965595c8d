"""Which records stand in quarantine, and which of them an operator has decided about already. Values are not kept."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import TopicPartition

from cli.reading import Range, partitions, read, spans
from models import decisions, headers, moments, reasons, topics
from models.errors import Misconfigured
from models.settings import KafkaSettings

HELD_MAX = 5_000_000  # records that one command looks at; about 2 GB

# `ce_type` of what a stage itself has to say about a link or a row: no record of its sources, so no stage can read it.
_OUTCOME = b"quarantine"
# Of these the value in quarantine is not all of the record.
_PART_OF_A_RECORD = frozenset({"crashed"})


@dataclass(frozen=True, slots=True)
class Held:
    """One record in quarantine."""

    stage: str
    place: str  # `topic/partition/offset`, of the quarantine topic
    partition: int
    offset: int
    since: datetime  # when it came into quarantine
    reason: str
    attempt: int
    type: str  # its `ce_type`
    key: bytes | None
    source: TopicPartition | None  # where it first stood
    source_offset: int
    is_outcome: bool
    is_whole: bool  # whether all of it stands in quarantine; else only its source has it
    value_bytes: int


@dataclass(frozen=True, slots=True)
class Filter:
    """What is meant; None is everything. `places`: these, by their names."""

    places: frozenset[str] | None = None
    reason: str | None = None
    type: str | None = None
    patient_id: str | None = None
    begin: datetime | None = None
    end: datetime | None = None

    def takes(self, one: Held) -> bool:
        """Whether this record is meant. A key may have more behind the patient's id."""
        owner = None if self.patient_id is None else self.patient_id.encode()
        return (
            (self.places is None or one.place in self.places)
            and self.reason in {None, one.reason}
            and self.type in {None, one.type}
            and (owner is None or one.key == owner)
            and (self.begin is None or one.since >= self.begin)
            and (self.end is None or one.since < self.end)
        )


async def held(settings: KafkaSettings, stages: Sequence[str], wanted: Filter) -> list[Held]:
    """Return what is meant and waits for a decision, by place.

    Raise `Unreachable`, or `Misconfigured` if a topic is missing or too much waits.
    """
    found = list[Held]()
    for stage in stages:
        topic = settings.topic_prefix + topics.quarantine(stage)
        decided = await _decided(settings, stage)
        ranges = await spans(settings, await partitions(settings, [topic]))
        async for record in _records(settings, ranges):
            one = _held(stage, record)
            if one.place not in decided and wanted.takes(one):
                found.append(one)
            if len(found) > HELD_MAX:
                raise Misconfigured(f"More than {HELD_MAX} records are meant; name a stage or a reason, or a time.")
    return sorted(found, key=lambda one: (one.stage, one.partition, one.offset))


async def _decided(settings: KafkaSettings, stage: str) -> set[str]:
    """Return the places of what was released or dropped."""
    ranges = await spans(settings, await partitions(settings, [settings.topic_prefix + topics.release(stage)]))
    return {place async for record in _records(settings, ranges) for place in _places(record)}


def _places(record: Any) -> Iterator[str]:  # noqa: ANN401 - aiokafka has no types
    if (released := headers.text(record.headers, headers.RELEASED)) is not None:
        yield released
        return
    said = decisions.said(record.value)
    if said is not None and said["decision"] == decisions.DROP:
        yield str(said.get("place"))


async def _records(settings: KafkaSettings, ranges: Mapping[TopicPartition, Range]) -> Any:  # noqa: ANN401
    async with aclosing(read(settings, ranges)) as pieces:
        async for _, records, _ in pieces:
            for record in records:
                yield record


def _held(stage: str, record: Any) -> Held:  # noqa: ANN401 - aiokafka has no types
    given = record.headers
    topic = headers.text(given, headers.QUARANTINE_TOPIC)
    reason = headers.text(given, headers.QUARANTINE_REASON) or reasons.UNREADABLE
    return Held(
        stage=stage,
        place=f"{record.topic}/{record.partition}/{record.offset}",
        partition=record.partition,
        offset=record.offset,
        since=moments.of_ms(record.timestamp),
        reason=reason,
        attempt=max(_number(given, headers.QUARANTINE_ATTEMPT), 1),
        type=headers.text(given, headers.CE_TYPE) or "",
        key=record.key,
        source=TopicPartition(topic, _number(given, headers.QUARANTINE_PARTITION)) if topic else None,
        source_offset=_number(given, headers.QUARANTINE_OFFSET),
        is_outcome=topic is None or headers.get(given, headers.CE_TYPE) == _OUTCOME,
        is_whole=headers.get(given, headers.QUARANTINE_LEFT_OUT) is None and reason not in _PART_OF_A_RECORD,
        value_bytes=len(record.value or b""),
    )


def _number(given: headers.Headers, name: str) -> int:
    said = headers.text(given, name) or ""
    return int(said) if said.isascii() and said.isdigit() else 0
