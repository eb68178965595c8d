"""Writing what has ended: its record acknowledged, then its link off the work list, many at a time per partition."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import NamedTuple, Protocol

from models.errors import Poison
from models.reasons import TOO_LARGE, UNPROCESSABLE, LinksReason
from streams.engine.fatal import where
from streams.engine.job import Changes, Output
from streams.links import events
from streams.links.link import state_key
from streams.links.publishing.records import Outputs
from streams.links.scheduling.resequencer import Departure
from streams.links.tasks import Parts

LINKS_MAX = 200  # per write; well below what the engine recognises again after a crash


class Settle(Protocol):
    """How the engine writes work that was finished out of order."""

    async def __call__(self, partition: int, outputs: Sequence[Output], changes: Changes) -> bool:
        """Write; return False if the partition is not ours any more."""


class _Ended(NamedTuple):
    """What is written for one link, and what is told once it is."""

    departure: Departure
    outputs: Sequence[Output]
    outcome: str
    reason: str


class Settling:
    """Takes what has ended, partition by partition, in the order it is given."""

    def __init__(self, settle: Settle, outputs: Outputs, parts: Parts) -> None:
        self._settle = settle
        self._outputs = outputs
        self._parts = parts
        self._ended: defaultdict[int, deque[Departure]] = defaultdict(deque)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._refusing: set[asyncio.Task[None]] = set()
        self._stopped = False

    def put(self, partition: int, departure: Departure) -> None:
        """Write `departure` soon."""
        self._ended[partition].append(departure)
        if partition not in self._tasks and not self._stopped:
            self._tasks[partition] = self._parts.start(self._write_all(partition))

    def refuse(self, partition: int, key: bytes, value: bytes) -> None:
        """Set aside an entry of the work list that cannot be read."""
        task = self._parts.start(self._refuse(partition, key, value))
        self._refusing.add(task)
        task.add_done_callback(self._refusing.discard)

    async def stop(self) -> None:
        """Forget what is not being written, and wait for what is: a write must not be cut in two."""
        self._stopped = True
        await asyncio.gather(*self._tasks.values(), *self._refusing, return_exceptions=True)

    async def _refuse(self, partition: int, key: bytes, value: bytes) -> None:
        # Kafka took it once, so that it fits is certain but for the few headers; then it stays where it is.
        with suppress(Poison):
            if await self._settle(partition, [self._outputs.unreadable(key, value)], {key: None}):
                events.ENTRY_UNREADABLE()

    async def _write_all(self, partition: int) -> None:
        ended = self._ended[partition]
        try:
            while ended and not self._stopped:
                some = list(islice(ended, LINKS_MAX))
                await self._write(partition, [self._made(departure) for departure in some])
                for _ in some:
                    ended.popleft()
        finally:
            del self._tasks[partition]

    async def _write(self, partition: int, some: Sequence[_Ended]) -> None:
        outputs = list(chain.from_iterable(ended.outputs for ended in some))
        try:
            written = await self._settle(partition, outputs, {state_key(ended.departure.link): None for ended in some})
        except Poison:
            if len(some) == 1 and some[0].reason == TOO_LARGE:
                raise  # what says so has a bounded size
            for ended in some:
                alone = ended if len(some) > 1 else self._refused(ended.departure, TOO_LARGE)
                await self._write(partition, [alone])
            return
        if written:
            for ended in some:
                tell(ended.departure.link.kind, ended.outcome, ended.reason)

    def _made(self, departure: Departure) -> _Ended:
        """Return what is written for a link; what cannot be made goes to quarantine, and costs no other link."""
        outcome = departure.outcome
        try:
            return _Ended(departure, list(self._outputs.ended(departure)), outcome.outcome, outcome.reason or "")
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one link must not stop its neighbours
            events.BROKEN(error=where(error))
            return self._refused(departure, UNPROCESSABLE)

    def _refused(self, departure: Departure, reason: LinksReason) -> _Ended:
        link = departure.link
        return _Ended(departure, [self._outputs.quarantined(link, b"", reason, place=link.index)], "failed", reason)


def tell(kind: str, outcome: str, reason: str) -> None:
    """Tell how a link ended, now that its record is written."""
    event = events.STORED if outcome == "stored" else events.LOST
    event(kind=kind, outcome=outcome, reason=reason)
