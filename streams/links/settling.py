"""Writing what has ended: its record acknowledged, then its link off the work list, many at a time per partition."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Protocol

from streams.engine.job import Changes, Output, Poison
from streams.links import events
from streams.links.departures import Departure
from streams.links.link import Link, state_key
from streams.links.outputs import Outputs

LINKS_MAX = 200  # per write; well below what the engine recognises again after a crash
TOO_LARGE = "too_large"


class Settle(Protocol):
    """How the engine writes work that was finished out of order."""

    async def __call__(self, partition: int, outputs: Sequence[Output], changes: Changes) -> bool:
        """Write; return False if the partition is not ours any more."""


class Settling:
    """Takes what has ended, partition by partition, in the order it is given."""

    def __init__(self, settle: Settle, outputs: Outputs) -> None:
        self._settle = settle
        self._outputs = outputs
        self._ended: defaultdict[int, deque[Departure]] = defaultdict(deque)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def put(self, partition: int, departure: Departure) -> None:
        """Write `departure` soon."""
        self._ended[partition].append(departure)
        if partition not in self._tasks:
            self._tasks[partition] = asyncio.create_task(self._write_all(partition))
            self._tasks[partition].add_done_callback(events.tell_broken)

    async def stop(self) -> None:
        """Forget what is not being written, and wait for what is: a write must not be cut in two."""
        self._ended.clear()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _write_all(self, partition: int) -> None:
        try:
            while ended := self._ended.get(partition):
                some = [ended.popleft() for _ in range(min(len(ended), LINKS_MAX))]
                await self._write(partition, some)
        finally:
            del self._tasks[partition]

    async def _write(self, partition: int, some: Sequence[Departure]) -> None:
        outputs = list(chain.from_iterable(map(self._outputs.ended, some)))
        try:
            await self._settle(partition, outputs, _off([departure.link for departure in some]))
        except Poison:
            if len(some) == 1:
                link = some[0].link
                quarantined = self._outputs.quarantined(link, b"", TOO_LARGE, place=link.index)
                await self._settle(partition, [quarantined], _off([link]))
                return
            for departure in some:
                await self._write(partition, [departure])


def _off(links: Sequence[Link]) -> Mapping[bytes, None]:
    return {state_key(link): None for link in links}
