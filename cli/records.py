"""Reading topics as an operator does: a stretch of them, without a group, leaving no trace in Kafka."""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import murmur2
from aiokafka.structs import ConsumerRecord

from cli import reading
from cli.by_time import ByTime
from models.settings import KafkaSettings

WAIT_MS = 500


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Which records: from the start, from a time or from now on; up to a time, to what is there now, or for ever.

    Times are milliseconds since 1970, by the records' timestamps; `until_ms` is the first that is not meant.
    """

    from_start: bool = False
    follow: bool = False
    since_ms: int | None = None
    until_ms: int | None = None


EVERYTHING = Stretch(from_start=True)


async def records(
    settings: KafkaSettings, topics: Sequence[str], stretch: Stretch = EVERYTHING, *, partition_of: bytes | None = None
) -> AsyncGenerator[ConsumerRecord, None]:
    """Yield the records of these topics, or `Misconfigured` if one is not there, `Unreachable` if Kafka is not.

    With a patient's id as `partition_of`, only the partitions that hold its records are read.
    """
    partitions = await reading.partitions(settings, topics)
    if partition_of is not None:
        partitions = _of_one(partitions, partition_of, settings.topic_partitions)
    async with reading.consumer(settings, reset="earliest") as consumer:
        ends = await _assigned(consumer, partitions, stretch)
        async for record in _backlog(consumer, ends):
            if stretch.until_ms is None or record.timestamp < stretch.until_ms:
                yield record
        while stretch.follow and not _is_over(stretch):
            batches = await consumer.getmany(timeout_ms=WAIT_MS)
            # By time across partitions, so that one delivery's way through the topics reads from top to bottom.
            for record in sorted((each for batch in batches.values() for each in batch), key=lambda one: one.timestamp):
                if stretch.until_ms is None or record.timestamp < stretch.until_ms:
                    yield record


async def _backlog(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]
) -> AsyncGenerator[ConsumerRecord, None]:
    """Yield what lies before these ends, by time across partitions however it comes."""
    left = {partition for partition, end in ends.items() if end and await consumer.position(partition) < end}
    merged, late = ByTime(left), dict[TopicPartition, list[ConsumerRecord]]()
    while left:
        for partition, batch in (await consumer.getmany(timeout_ms=WAIT_MS)).items():
            merged.add(partition, [record for record in batch if record.offset < ends[partition]])
            late.setdefault(partition, []).extend(record for record in batch if record.offset >= ends[partition])
            if merged.is_full(partition):
                consumer.pause(partition)
        for partition in [each for each in left if await consumer.position(each) >= ends[each]]:
            left.discard(partition)
            merged.close(partition)
        for record in merged.ready():
            yield record
        consumer.resume(*(partition for partition in consumer.paused() if not merged.is_full(partition)))
    for batch in late.values():
        for record in batch:
            yield record


async def count(settings: KafkaSettings, topics: Sequence[str]) -> int:
    """Return how many records these topics hold now; of compacted ones, as many at most."""
    partitions = await reading.partitions(settings, topics)
    async with reading.consumer(settings, reset="earliest") as consumer:
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return int(sum(ends.values()) - sum(begins.values()))


def _of_one(partitions: Sequence[TopicPartition], key: bytes, count_max: int) -> list[TopicPartition]:
    """Return those that hold a patient's records: partitions that somebody added later are not used."""
    number = murmur2(key) & 0x7FFFFFFF
    counts: dict[str, int] = {}
    for partition in partitions:
        counts[partition.topic] = min(counts.get(partition.topic, 0) + 1, count_max)
    return [each for each in partitions if each.partition == number % counts[each.topic]]


async def _assigned(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition], stretch: Stretch
) -> dict[TopicPartition, int]:
    """Go to where the stretch begins; return where it ends, as far as that is there by now."""
    consumer.assign(partitions)
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    if stretch.since_ms is not None:
        for partition, offset in (await _at(consumer, ends, stretch.since_ms)).items():
            consumer.seek(partition, offset)
    elif stretch.from_start:
        await consumer.seek_to_beginning(*partitions)
    else:
        for partition, offset in ends.items():
            consumer.seek(partition, offset)
    return ends if stretch.until_ms is None else await _at(consumer, ends, stretch.until_ms)


async def _at(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], at_ms: int) -> dict[TopicPartition, int]:
    """Return the offset of the first record of that time or later, the end where there is none."""
    found = await consumer.offsets_for_times(dict.fromkeys(ends, max(0, at_ms)))
    return {partition: each.offset if (each := found.get(partition)) else end for partition, end in ends.items()}


def _is_over(stretch: Stretch) -> bool:
    return stretch.until_ms is not None and time.time() * 1000 >= stretch.until_ms
