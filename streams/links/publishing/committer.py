"""Write what has ended: the record of a link, and once that is acknowledged the link off the table, many at a time."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import NamedTuple

from models.errors import Poison
from models.reasons import TOO_LARGE, UNPROCESSABLE, LinksReason
from streams.engine.fatal import where
from streams.engine.job import Context, Output
from streams.links import events
from streams.links.link import Ended, Link, state_key
from streams.links.publishing.records import Records
from streams.links.tasks import Parts

LINKS_MAX = 200  # per write; well below what the engine recognises again after a crash


class _Commit(NamedTuple):
    """What is written for one link, and what is told once it is."""

    link: Link
    outputs: Sequence[Output]
    outcome: str
    reason: str


class Committer:
    """Writes what has ended, partition by partition, in the order it is given."""

    def __init__(self, context: Context, records: Records, parts: Parts) -> None:
        self._context = context
        self._records = records
        self._parts = parts
        self._ended: defaultdict[int, deque[Ended]] = defaultdict(deque)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._refusing: set[asyncio.Task[None]] = set()
        self._stopped = False

    def put(self, partition: int, ended: Ended) -> None:
        """Write `ended` soon."""
        self._ended[partition].append(ended)
        if partition not in self._tasks and not self._stopped:
            self._tasks[partition] = self._parts.start(self._write_all(partition))

    def refuse(self, partition: int, key: bytes, value: bytes) -> None:
        """Set aside an entry of the table that cannot be read."""
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
            if await self._context.complete(partition, [self._records.unreadable(key, value)], {key: None}):
                events.ENTRY_UNREADABLE()

    async def _write_all(self, partition: int) -> None:
        waiting = self._ended[partition]
        try:
            while waiting and not self._stopped:
                some = list(islice(waiting, LINKS_MAX))
                await self._write(partition, [self._commit(ended) for ended in some])
                for _ in some:
                    waiting.popleft()
        finally:
            del self._tasks[partition]

    async def _write(self, partition: int, commits: Sequence[_Commit]) -> None:
        outputs = list(chain.from_iterable(commit.outputs for commit in commits))
        changes = {state_key(commit.link): None for commit in commits}
        try:
            written = await self._context.complete(partition, outputs, changes)
        except Poison:
            if len(commits) == 1 and commits[0].reason == TOO_LARGE:
                raise  # what says so has a bounded size
            for commit in commits:
                await self._write(partition, [commit if len(commits) > 1 else self._refused(commit.link, TOO_LARGE)])
            return
        if written:
            for commit in commits:
                tell(commit.link.kind, commit.outcome, commit.reason)

    def _commit(self, ended: Ended) -> _Commit:
        """Return what is written for a link; what cannot be made goes to quarantine, and costs no other link."""
        link, outcome = ended
        try:
            return _Commit(link, list(self._records.ended(ended)), outcome.outcome, outcome.reason or "")
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one link must not stop its neighbours
            events.BROKEN(error=where(error))
            return self._refused(link, UNPROCESSABLE)

    def _refused(self, link: Link, reason: LinksReason) -> _Commit:
        return _Commit(link, [self._records.quarantined(link, b"", reason, place=link.index)], "failed", reason)


def tell(kind: str, outcome: str, reason: str) -> None:
    """Tell how a link ended, now that its record is written."""
    event = events.STORED if outcome == "stored" else events.LOST
    event(kind=kind, outcome=outcome, reason=reason)
