"""Counts how far each source partition is fetched, handed over, finished and committed. No Kafka.

Commit is the end of the last finished batch, nothing else moves it. A batch from before the last seek is stale; a batch
whose start is not the end of the one before it means that something was dropped, and the process must not go on.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.engine.fatal import Fatal
from streams.engine.job import Record
from streams.engine.ports import LogPartition


@dataclass(slots=True, eq=False)
class Batch:
    """`start` and `end` are the fetch positions before and after; `epoch` counts the seeks before it was fetched.

    The records stay out of its text: Faust logs what it waits for.
    """

    records: Sequence[Record] = field(repr=False)
    start: int
    end: int
    epoch: int
    size: int
    fetched_at: float
    abandoned: bool = False  # work on it ended early; it will be read again, so it must not count as finished


class PartitionProgress(NamedTuple):
    """How far one source partition is: the next offset to finish, and what was fetched and is not finished."""

    finished: int | None
    unfinished_batches: int
    oldest_unfinished_s: float


class Positions:
    """Accepts each batch once, in order, and only while its partition is ours."""

    def __init__(
        self, *, queued_batches_max: int, unfinished_bytes_max: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.paused = True
        self.paused_since = clock()
        self.epoch = 0
        self._queued_batches_max = queued_batches_max
        self._unfinished_bytes_max = unfinished_bytes_max
        self._clock = clock
        self._seeked = False
        self._unfinished_bytes = 0
        self._fetched: dict[LogPartition, int] = {}
        self._expected: dict[LogPartition, int] = {}
        self._finished: dict[LogPartition, int] = {}
        self._committed: dict[LogPartition, int] = {}
        self._unfinished: dict[LogPartition, deque[Batch]] = defaultdict(deque)
        self._abandoned: set[LogPartition] = set()

    def pause(self) -> None:
        """Fetch nothing until a seek has been made and the flow resumed."""
        if not self.paused:
            self.paused_since = self._clock()
        self.paused, self._seeked = True, False

    def seeked(self, offsets: Mapping[LogPartition, int], *, done: Mapping[LogPartition, int] | None = None) -> None:
        """Start over at `offsets`: everything fetched before is stale. What is below `done` may be committed."""
        self.epoch += 1
        self._seeked = True
        self._fetched = dict(offsets)
        self._expected = dict(offsets)
        self._committed = dict(offsets)
        self.forget_finished()
        self._finished.update(done or {})
        self._unfinished.clear()
        self._unfinished_bytes = 0
        self._abandoned.clear()

    def forget_finished(self) -> None:
        """Commit nothing more of what was finished so far."""
        self._finished.clear()

    def resume(self, *, empty: bool = False) -> None:
        """Fetch again, if the seek came first; a member without partitions has none to make."""
        if empty:
            self.seeked({})
        if self._seeked:
            self.paused = False

    def may_fetch(self, partition: LogPartition) -> bool:
        """Return whether there is room for one more batch of this partition."""
        return (
            not self.paused
            and partition in self._fetched
            and len(self._unfinished[partition]) < self._queued_batches_max
            and self._unfinished_bytes < self._unfinished_bytes_max
        )

    def fetch(self, partition: LogPartition, records: Sequence[Record]) -> Batch:
        """Return the fetched records as a batch."""
        start, end = self._fetched[partition], records[-1].offset + 1
        if records[0].offset < start:
            raise Fatal(f"{_name(partition)}: fetched offset {records[0].offset}, below the position {start}")
        batch = Batch(records, start, end, self.epoch, size(records), self._clock())
        self._fetched[partition] = end
        self._unfinished[partition].append(batch)
        self._unfinished_bytes += batch.size
        return batch

    def is_current(self, batch: Batch) -> bool:
        """Return whether no seek has come since this batch was fetched."""
        return batch.epoch == self.epoch

    def accept(self, partition: LogPartition, batch: Batch) -> bool:
        """Return whether to process this batch now; a stale one will be read again."""
        if not self.is_current(batch):
            return False
        if batch.start != self._expected[partition]:
            expected = self._expected[partition]
            raise Fatal(f"{_name(partition)}: a batch starts at {batch.start}, expected {expected}; one was dropped")
        self._expected[partition] = batch.end
        return True

    def finish(self, partition: LogPartition, batch: Batch) -> None:
        """Let the commit move to the end of this batch, unless it is stale or was abandoned."""
        if not self.is_current(batch):
            return
        self._unfinished[partition].remove(batch)
        self._unfinished_bytes -= batch.size
        if batch.abandoned:
            self._abandoned.add(partition)
        if partition not in self._abandoned:  # nothing behind an abandoned batch may be committed either
            self._finished[partition] = batch.end

    def committable(self) -> Iterable[LogPartition]:
        """Return the partitions that have finished batches."""
        return tuple(self._finished)

    def to_commit(self, partition: LogPartition) -> int:
        """Return the offset to commit."""
        return self._finished[partition]

    def committed(self, offsets: Mapping[LogPartition, int]) -> None:
        """Note what the broker has taken."""
        self._committed.update(offsets)

    def progress(self) -> dict[LogPartition, PartitionProgress]:
        """Return how far each partition is."""
        now = self._clock()
        return {
            partition: PartitionProgress(
                self._finished.get(partition, self._committed.get(partition)),
                len(waiting := self._unfinished[partition]),
                now - waiting[0].fetched_at if waiting else 0.0,
            )
            for partition in self._fetched
        }


def size(records: Sequence[Record]) -> int:
    """Return the bytes of keys and values, roughly what holding them costs."""
    return sum(len(record.key or b"") + len(record.value or b"") for record in records)


def _name(partition: LogPartition) -> str:
    return f"{partition[0]}/{partition[1]}"
