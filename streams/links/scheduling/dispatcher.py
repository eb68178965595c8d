"""Fetch what is listed: start what the schedule says, move aside what hangs, hand on what has ended, in order."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from streams.engine.fatal import where
from streams.links import events
from streams.links.fetching import address
from streams.links.fetching.progress import Progress
from streams.links.limits import FetchLimits
from streams.links.link import Ended, Link, Outcome
from streams.links.scheduling.resequencer import Resequencer
from streams.links.scheduling.schedule import Schedule, Ticket
from streams.links.tasks import Parts

TICK_S = 0.1


class Fetch(Protocol):
    """How one link is fetched."""

    def __call__(self, link: Link, *, partition: int, progress: Progress) -> Awaitable[Outcome]:
        """Return how it ended; raise only for what nobody foresaw."""


class Dispatcher:
    """Fetches whatever was added until stopped. `release` is called, with the partition, in the order of records."""

    def __init__(
        self, fetch: Fetch, limits: FetchLimits, parts: Parts, *, release: Callable[[int, Ended], None]
    ) -> None:
        self._fetch = fetch
        self._limits = limits
        self._parts = parts
        self._release = release
        self._schedule = Schedule(limits)
        self._resequencers: defaultdict[int, Resequencer] = defaultdict(
            lambda: Resequencer(order_wait_s=limits.order_wait_s)
        )
        # By a name of their own: the ids of links are unique in one partition only.
        self._links: dict[str, tuple[int, Link]] = {}  # from when they were added until they are released
        self._waiting_since_s: dict[str, float] = {}  # in the order they were added, until they begin
        self._fast: dict[str, Progress] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to fetch."""
        self._loop = self._parts.start(self._run())

    async def stop(self) -> None:
        """End at once. What was not finished is forgotten here; the table still lists it."""
        tasks = [*self._tasks.values(), *([self._loop] if self._loop else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._set_gauges()

    def add(self, partition: int, links: Iterable[Link]) -> None:
        """Take on links, in any order; one that was taken on before is left as it is. Never raises."""
        for link in links:
            try:
                self._add(partition, link)
            except Exception as error:  # noqa: BLE001 - one link must not stop the others, and must not be lost
                events.BROKEN(error=where(error))
                self._release(partition, Ended(link, _unprocessable()))
        self._wake.set()

    def _add(self, partition: int, link: Link) -> None:
        name = _name(partition, link)
        if name in self._links:
            return
        host = address.host(link.urls[0]) if link.urls else ""
        ticket = Ticket(link.deadline.timestamp(), link.order, name, host, link.key)
        self._links[name] = (partition, link)
        self._waiting_since_s[name] = time.monotonic()
        self._resequencers[partition].expect(link)
        self._schedule.add(ticket)
        events.LISTED(kind=link.kind)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            self._move_aside()
            while ticket := self._schedule.next(time.time()):
                del self._waiting_since_s[ticket.id]
                self._tasks[ticket.id] = self._parts.start(self._work(ticket.id))
            for partition, resequencer in self._resequencers.items():
                if overdue := resequencer.release_overdue(time.monotonic()):
                    for _ in overdue:
                        events.RELEASED_EARLY()
                    self._hand_on(partition, overdue)
            self._set_gauges()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TICK_S)

    async def _work(self, name: str) -> None:
        partition, link = self._links[name]
        self._fast[name] = progress = Progress()
        events.STARTED(_left_s(link), kind=link.kind)
        try:
            outcome = await self._fetch(link, partition=partition, progress=progress)
        except Exception as error:  # noqa: BLE001 - one link must not stop the others, and must not be lost
            events.BROKEN(error=where(error))
            outcome = _unprocessable()
        events.ENDED(_left_s(link), kind=link.kind)
        self._schedule.done(name)
        self._fast.pop(name, None)
        del self._tasks[name]
        self._hand_on(partition, self._resequencers[partition].finish(Ended(link, outcome), time.monotonic()))
        self._wake.set()

    def _hand_on(self, partition: int, released: Iterable[Ended]) -> None:
        for ended in released:
            self._links.pop(_name(partition, ended.link), None)
            self._release(partition, ended)

    def _move_aside(self) -> None:
        for name, progress in list(self._fast.items()):
            if progress.is_slow(self._limits) and self._schedule.slow(name):
                del self._fast[name]

    def _set_gauges(self) -> None:
        events.WAITING.set(self._schedule.waiting)
        events.RUNNING.set(self._schedule.running)
        oldest_s = next(iter(self._waiting_since_s.values()), None)
        events.OLDEST_WAITING_S.set(time.monotonic() - oldest_s if oldest_s is not None else 0.0)


def _name(partition: int, link: Link) -> str:
    return f"{partition}/{link.id}"


def _unprocessable() -> Outcome:
    return Outcome("failed", "unprocessable", at=datetime.now(UTC))


def _left_s(link: Link) -> float:
    return link.deadline.timestamp() - time.time()
