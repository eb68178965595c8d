"""A consumer outside the group, for reading logs from a known place to a known place."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.engine.security import for_aiokafka
from streams.engine.settings import EngineSettings


@asynccontextmanager
async def log_reader(settings: EngineSettings) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer that belongs to no group and commits nothing."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        client_id=f"{settings.app_id}-reader",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=settings.fetch_bytes_max,
        fetch_max_wait_ms=int(settings.fetch_wait_s * 1000),
        request_timeout_ms=int(settings.request_timeout_s * 1000),
        **for_aiokafka(settings.security),
    )
    await consumer.start()
    try:
        yield consumer
    finally:
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
