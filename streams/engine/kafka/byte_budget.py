"""Shares a number of bytes among many tasks: a weighted semaphore, first come first served."""

import asyncio
from collections import deque


class ByteBudget:
    """Something larger than the whole budget takes all of it and goes alone."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._free = bytes_max
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, count: int) -> int:
        """Wait until `count` bytes are free, take them, and return how many to give back."""
        count = min(count, self._bytes_max)
        if not self._waiting and self._free >= count:
            self._free -= count
            return count
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        await turn
        return count

    def give(self, count: int) -> None:
        """Give back what `take` returned."""
        self._free += count
        while self._waiting and self._waiting[0][0] <= self._free:
            wanted, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= wanted
                turn.set_result(None)
