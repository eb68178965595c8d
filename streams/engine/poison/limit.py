"""Decides when so many records break that the stage, and not the sender, is to blame. No clock: time is given."""

from collections import deque
from typing import NamedTuple


class Limit(NamedTuple):
    """More than `share_max` of at least `records_min` records within `window_s` seconds are too many."""

    share_max: float
    records_min: int
    window_s: float


class Window:
    """What a stage has worked on within the last `window_s`, by whole seconds."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._seconds = deque[tuple[int, int, int]]()  # second, records, broken
        self.records = 0
        self.broken = 0

    def passes(self, records: int, broken: int, *, at_s: float) -> bool:
        """Return whether these take the window past the limit; count them if not.

        `broken` of them failed in ways that nobody foresaw. `at_s` never goes back. Records that are all well never do.
        """
        second = int(at_s)
        self._forget(second)
        if broken:
            all_records, all_broken = self.records + records, self.broken + broken
            if all_records >= self._limit.records_min and all_broken > all_records * self._limit.share_max:
                return True
        if self._seconds and self._seconds[-1][0] == second:
            _, records_before, broken_before = self._seconds.pop()
            self._seconds.append((second, records_before + records, broken_before + broken))
        else:
            self._seconds.append((second, records, broken))
        self.records += records
        self.broken += broken
        return False

    def _forget(self, second: int) -> None:
        while self._seconds and self._seconds[0][0] <= second - self._limit.window_s:
            _, records, broken = self._seconds.popleft()
            self.records -= records
            self.broken -= broken
