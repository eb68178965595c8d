"""Reads a bounded range of offsets of partitions without joining a consumer group."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from models.topic_creation import never_create_topics
from streams.engine.fingerprints import Fingerprint, fingerprint
from streams.engine.job import Record
from streams.engine.ports import LogPartition, Span
from streams.engine.settings import FETCH_WAIT_S, EngineSettings

_ASK_AGAIN_S = 0.5
_ONE_RECORD_BYTES = 64 * 1024  # a larger one comes all the same


class KafkaLogs:
    """The logs of a real Kafka."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings

    async def counts(self, topics: Iterable[str]) -> dict[str, int]:
        """Return the partition count of each topic, 0 for one that is missing."""
        never_create_topics()
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._settings.bootstrap_servers,
            client_id=f"{self._settings.app_id}-reader",
            request_timeout_ms=int(self._settings.request_timeout_s * 1000),
            **self._settings.security,
        )
        try:
            await admin.start()
            described = await admin.describe_topics(sorted(set(topics)))
        finally:
            await admin.close()
        return {topic["topic"]: len(topic["partitions"]) for topic in described}

    async def ends(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        """Return the next offset of each partition."""
        tps = [TopicPartition(*partition) for partition in partitions]
        if not tps:
            return {}
        async with log_reader(self._settings) as consumer:
            return {(tp.topic, tp.partition): end for tp, end in (await consumer.end_offsets(tps)).items()}

    async def spans(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, Span]:
        """Return where each partition begins and ends."""
        tps = [TopicPartition(*partition) for partition in partitions]
        if not tps:
            return {}
        async with log_reader(self._settings) as consumer:
            first, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        return {(tp.topic, tp.partition): Span(first[tp], ends[tp]) for tp in tps}

    async def committed(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        """Return what the stage's group has committed, where it has."""
        tps = [TopicPartition(*partition) for partition in partitions]
        if not tps:
            return {}
        settings = self._settings
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers, **settings.security)
        try:
            await admin.start()
            found = await self._offsets(admin, tps)
        finally:
            await admin.close()
        return {(tp.topic, tp.partition): told.offset for tp, told in found.items() if told.offset >= 0}

    async def _offsets(self, admin: AIOKafkaAdminClient, tps: list[TopicPartition]) -> Any:
        deadline = time.monotonic() + self._settings.request_timeout_s
        while True:
            try:
                return await admin.list_consumer_group_offsets(self._settings.app_id, partitions=tps)
            except KafkaError as error:  # the group's coordinator moves, or loads
                if not error.retriable or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_ASK_AGAIN_S)

    async def at(self, places: Mapping[LogPartition, Sequence[int]]) -> dict[tuple[LogPartition, int], Fingerprint]:
        """Return the fingerprints of the records at these offsets."""
        tps = {TopicPartition(*partition): offsets for partition, offsets in places.items() if offsets}
        if not tps:
            return {}
        found: dict[tuple[LogPartition, int], Fingerprint] = {}
        async with log_reader(self._settings, fetch_bytes_max=_ONE_RECORD_BYTES) as consumer:
            consumer.assign(list(tps))
            first, ends = await consumer.beginning_offsets(list(tps)), await consumer.end_offsets(list(tps))
            for turn in range(max(map(len, tps.values()))):
                asked = {tp: each[turn] for tp, each in tps.items() if turn < len(each) and first[tp] <= each[turn]}
                for tp, record in (await first_from(consumer, asked, ends)).items():
                    if record.offset == asked[tp]:
                        found[(tp.topic, tp.partition), record.offset] = fingerprint(record)
        return found

    async def last(
        self, ends: Mapping[LogPartition, int], count: int
    ) -> AsyncGenerator[tuple[LogPartition, Record], None]:
        """Yield the last `count` records before each end, in order."""
        tps = [TopicPartition(*partition) for partition in ends]
        if not tps:
            return
        async with log_reader(self._settings) as consumer:
            consumer.assign(tps)
            first = await consumer.beginning_offsets(tps)
            ranges = {tp: (max(first[tp], ends[tp] - count), ends[tp]) for tp in tps}
            async for tp, records in read(consumer, ranges):
                for record in records:
                    yield (tp.topic, tp.partition), record

    async def records(
        self, ranges: Mapping[LogPartition, tuple[int, int]]
    ) -> AsyncGenerator[tuple[LogPartition, Sequence[Record]], None]:
        """Yield the records between start and end of each partition, in order, few at a time."""
        tps = {TopicPartition(*partition): (first, end) for partition, (first, end) in ranges.items() if first < end}
        if not tps:
            return
        most = self._settings.batch_records_max
        async with log_reader(self._settings) as consumer:
            consumer.assign(list(tps))
            async for tp, records in read(consumer, tps):
                for first in range(0, len(records), most):
                    yield (tp.topic, tp.partition), records[first : first + most]


async def first_from(
    consumer: AIOKafkaConsumer, places: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Any]:
    """Return the first record at each of these offsets or behind it, of partitions that have one before their end."""
    waiting = {tp for tp, offset in places.items() if offset < ends[tp]}
    found: dict[TopicPartition, Any] = {}
    for tp in waiting:
        consumer.seek(tp, places[tp])
    while waiting:
        for tp, records in (await consumer.getmany(*waiting, timeout_ms=1000)).items():
            found[tp] = records[0]
        waiting -= found.keys()
        waiting -= {tp for tp in waiting if await consumer.position(tp) >= ends[tp]}
    return found


@asynccontextmanager
async def log_reader(
    settings: EngineSettings, *, fetch_bytes_max: int | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer that belongs to no group and commits nothing."""
    never_create_topics()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        client_id=f"{settings.app_id}-reader",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=fetch_bytes_max or settings.fetch_bytes_max,
        fetch_max_wait_ms=int(FETCH_WAIT_S * 1000),
        request_timeout_ms=int(settings.request_timeout_s * 1000),
        **settings.security,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        # One that is stopped before the task of its assignment has begun raises `CancelledError`, which is not ours.
        await asyncio.sleep(0)
        await consumer.stop()


async def read(
    consumer: AIOKafkaConsumer, ranges: Mapping[TopicPartition, tuple[int, int]]
) -> AsyncIterator[tuple[TopicPartition, list[Any]]]:
    """Yield what lies between start and end of each partition; an empty list says that one is read to its end.

    The end is found by position: the last records of a compacted log may be gone.
    """
    waiting = {tp: end for tp, (start, end) in ranges.items() if start < end}
    for tp in waiting:
        consumer.seek(tp, ranges[tp][0])
    while waiting:
        for tp, records in (await consumer.getmany(*waiting, timeout_ms=1000, max_records=5000)).items():
            yield tp, [record for record in records if record.offset < waiting[tp]]
        for tp in list(waiting):
            if await consumer.position(tp) >= waiting[tp]:
                del waiting[tp]
                yield tp, []
