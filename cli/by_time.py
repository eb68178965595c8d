"""Merges partitions by time. Pure: told what came of each, it says what may be shown."""

import heapq
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

WAITING_RECORDS_MAX = 200  # of one partition, while another is behind; so many come in any case as are fetched at once
WAITING_BYTES_MAX = 2**20


class ByTime:
    """Holds each partition's records until no earlier one of another partition can come; order within one stays."""

    def __init__(self, partitions: Iterable[Hashable]) -> None:
        self._waiting: dict[Hashable, deque[Any]] = {partition: deque() for partition in partitions}
        self._bytes = dict.fromkeys(self._waiting, 0)
        self._lacking = set(self._waiting)  # of these more will come, and none is there
        self._open = set(self._waiting)
        self._heads: list[tuple[int, int, Hashable]] = []  # timestamp; a number that no other has; partition
        self._numbers = {partition: number for number, partition in enumerate(self._waiting)}

    def add(self, partition: Hashable, records: Sequence[Any]) -> None:
        """Take in records of a partition, in its order."""
        if not records or partition not in self._waiting:
            return
        if not self._waiting[partition]:
            self._push(partition, records[0])
        self._waiting[partition] += records
        self._bytes[partition] += sum(len(record.value or b"") for record in records)
        self._lacking.discard(partition)

    def close(self, partition: Hashable) -> None:
        """Learn that no more will come of a partition."""
        self._open.discard(partition)
        self._lacking.discard(partition)

    def is_full(self, partition: Hashable) -> bool:
        """Return whether more of a partition should wait where it is."""
        waiting = self._waiting.get(partition, ())
        return len(waiting) >= WAITING_RECORDS_MAX or self._bytes.get(partition, 0) >= WAITING_BYTES_MAX

    def ready(self) -> Iterator[Any]:
        """Yield what may be shown, the earliest first."""
        while self._heads and not self._lacking:
            _, _, partition = heapq.heappop(self._heads)
            waiting = self._waiting[partition]
            record = waiting.popleft()
            self._bytes[partition] -= len(record.value or b"")
            if waiting:
                self._push(partition, waiting[0])
            elif partition in self._open:
                self._lacking.add(partition)
            yield record

    def _push(self, partition: Hashable, record: Any) -> None:  # noqa: ANN401 - aiokafka has no types
        heapq.heappush(self._heads, (record.timestamp, self._numbers[partition], partition))
