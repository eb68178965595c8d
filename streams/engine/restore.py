"""Bring local copies of the state up to the end of their changelog, thousands of records at a time."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka import TopicPartition

from streams.engine.fatal import Fatal
from streams.engine.logs import log_reader, read
from streams.engine.settings import EngineSettings
from streams.engine.store import LocalState


@dataclass
class Restoration:
    """How much of the state was read back since the process began, and when that last moved."""

    records: int = 0
    seconds: float = 0.0
    moved_at: float = 0.0


async def restore(
    store: LocalState, partitions: Iterable[int], settings: EngineSettings, progress: Restoration
) -> None:
    """Bring these partitions up to date. What was done stays done when this is cancelled."""
    begun_at = time.monotonic()
    tps = [TopicPartition(settings.changelog, partition) for partition in sorted(partitions)]
    if not tps:
        return
    async with log_reader(settings) as consumer:
        consumer.assign(tps)
        first, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        ranges = {tp: (_start(tp, store.reaches(tp.partition), first[tp], ends[tp]), ends[tp]) for tp in tps}
        async for tp, records in read(consumer, ranges):
            reached = records[-1].offset if records else ends[tp] - 1
            store.put_many(tp.partition, ((record.key, record.value) for record in records), reached)
            progress.records += len(records)
            progress.moved_at = time.monotonic()
    progress.seconds += time.monotonic() - begun_at


def _start(tp: TopicPartition, reached: int | None, first: int, end: int) -> int:
    if reached is None:
        return first
    if reached >= end:
        raise Fatal(
            f"{tp.topic}/{tp.partition}: the local state contains offset {reached}, the changelog ends at {end}: it "
            "was deleted, or lost records. Operator action: if the changelog is right, delete this stage's state "
            "folder and start again; if not, restore the topic first."
        )
    return max(first, reached + 1)
