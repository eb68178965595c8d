"""Makes a plan: reads what is asked about, and counts what is meant."""

import uuid
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

from aiokafka import TopicPartition
from aiokafka.partitioner import murmur2

from cli import audit, reading
from cli.reading import Range
from cli.replay.identities import Identities, identities
from cli.replay.plan import Plan, Span
from cli.replay.selection import Place, Selection, received_at
from models.errors import Misconfigured
from models.settings import KafkaSettings

# The clocks of the hosts that receive deliveries and that of the broker differ by less.
CLOCKS_DIFFER = timedelta(hours=1)

Told = Callable[[int], None]


async def make(
    settings: KafkaSettings, topics: Sequence[str], selection: Selection, *, told: Told = lambda _read: None
) -> Plan:
    """Return the plan for what is meant of these topics (full names) now; `told` hears how many records were read.

    Raise `Misconfigured` if a topic or the record at `since` is not there, `Unreachable` if Kafka is not.
    """
    cluster = await reading.cluster(settings)
    selection = await _dated(settings, selection)
    places = await reading.partitions(settings, topics)
    if selection.patient_id is not None:
        # One partition number per patient in every topic; of all topics the same count.
        number = (murmur2(selection.patient_id.encode()) & 0x7FFFFFFF) % settings.topic_partitions
        places = [place for place in places if place.partition == number]
    since = max((moment for moment in (selection.begin, selection.since_time) if moment is not None), default=None)
    ranges = await reading.spans(settings, places, begin=None if since is None else since - CLOCKS_DIFFER)
    known: dict[TopicPartition, Range] = {}
    if selection.missing_in is not None:
        known = await reading.spans(settings, await reading.partitions(settings, [selection.missing_in]))
    there = await identities(settings, known)
    selected, value_bytes, seen = dict.fromkeys(ranges, 0), 0, 0
    async with aclosing(chosen(settings, ranges, selection, there)) as pieces:
        async for place, records, read, _ in pieces:
            selected[place] += len(records)
            value_bytes += sum(len(record.value or b"") for record in records)
            seen += read
            told(seen)
    return Plan(
        plan_id=uuid.uuid4().hex[:16],
        created_at=datetime.now(UTC),
        created_by=audit.operator(),
        code_version=version("metriport-streams"),
        cluster=cluster,
        topic_prefix=settings.topic_prefix,
        selection=selection,
        records=sum(selected.values()),
        value_bytes=value_bytes,
        spans=tuple(_spans(ranges, selected)),
        missing_in_spans=tuple(_spans(known, {})),
    )


async def chosen(
    settings: KafkaSettings, ranges: Mapping[TopicPartition, Range], selection: Selection, there: Identities
) -> AsyncGenerator[tuple[TopicPartition, list[Any], int, int], None]:
    """Yield what is meant of these ranges, with how many records were read for it, and the offset read up to."""
    async with aclosing(reading.read(settings, ranges)) as pieces:
        async for place, records, position in pieces:
            meant = [one for one in records if selection.takes(one) and not there.has(one.headers)]
            yield place, meant, len(records), position


async def _dated(settings: KafkaSettings, selection: Selection) -> Selection:
    """Return the selection with the time of the record that it begins with."""
    if selection.since is None:
        return selection
    place, offset = TopicPartition(selection.since.topic, selection.since.partition), selection.since.offset
    if place not in await reading.partitions(settings, [place.topic]):
        raise Misconfigured(f"There is no partition {place.partition} of {place.topic}.")
    held = (await reading.spans(settings, [place]))[place]
    if held[0] <= offset < held[1]:
        async with aclosing(reading.read(settings, {place: (offset, offset + 1)})) as pieces:
            async for _, records, _ in pieces:
                for record in records:
                    return selection.model_copy(update={"since_time": received_at(record)})
    raise Misconfigured(f"There is no record {_text(selection.since)}: its partition holds {held[0]} to {held[1] - 1}.")


def _spans(ranges: Mapping[TopicPartition, Range], selected: Mapping[TopicPartition, int]) -> Iterable[Span]:
    for place, (begin, end) in sorted(ranges.items()):
        if begin < end:
            yield Span(
                topic=place.topic, partition=place.partition, begin=begin, end=end, selected=selected.get(place, 0)
            )


def _text(place: Place) -> str:
    return f"{place.topic}/{place.partition}/{place.offset}"
