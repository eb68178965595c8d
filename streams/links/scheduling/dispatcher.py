"""The loop that fetches: starts what the schedule says, moves aside what hangs, hands on what has ended in order."""

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
from streams.links.link import Link, Outcome
from streams.links.scheduling.resequencer import Departure, Departures
from streams.links.scheduling.schedule import Schedule, Ticket
from streams.links.tasks import Parts

TICK_S = 0.1


class Fetch(Protocol):
    """How one link is fetched."""

    def __call__(self, link: Link, *, partition: int, progress: Progress) -> Awaitable[Outcome]:
        """Return how it ended; raise only for what nobody foresaw."""


class _Fetching:
    """One link in the hands of the fetchers, and how its fetch is doing."""

    def __init__(self, partition: int, link: Link) -> None:
        self.partition = partition
        self.link = link
        self.name = _name(partition, link)
        self.listed_s = time.monotonic()
        self.progress: Progress | None = None


class Fetchers:
    """Fetches whatever was added until stopped. `finished` is called, with the partition, when a link may leave."""

    def __init__(
        self, fetch: Fetch, limits: FetchLimits, parts: Parts, *, finished: Callable[[int, Departure], None]
    ) -> None:
        self._fetch = fetch
        self._limits = limits
        self._parts = parts
        self._finished = finished
        self._schedule = Schedule(limits)
        self._departures: defaultdict[int, Departures] = defaultdict(
            lambda: Departures(order_wait_s=limits.order_wait_s)
        )
        self._links: dict[str, _Fetching] = {}  # in the order they were added
        self._leaving: set[str] = set()  # ended, not left yet
        self._fast: dict[str, _Fetching] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to fetch."""
        self._loop = self._parts.start(self._run())

    async def stop(self) -> None:
        """End at once. What was not finished is forgotten here; the work list still has it."""
        tasks = [*self._tasks.values(), *([self._loop] if self._loop else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tell()

    def add(self, partition: int, links: Iterable[Link]) -> None:
        """Take on links, in any order; one that was taken on before is left as it is. Never raises."""
        for link in links:
            try:
                self._add(partition, link)
            except Exception as error:  # noqa: BLE001 - one link must not stop the others, and must not be lost
                events.BROKEN(error=where(error))
                self._finished(partition, Departure(link, _unprocessable()))
        self._wake.set()

    def _add(self, partition: int, link: Link) -> None:
        name = _name(partition, link)
        if name in self._links or name in self._leaving:
            return
        host = address.host(link.urls[0]) if link.urls else ""
        ticket = Ticket(link.deadline.timestamp(), link.order, name, host, link.key)
        self._links[name] = _Fetching(partition, link)
        self._departures[partition].list(link)
        self._schedule.add(ticket)
        events.LISTED(kind=link.kind)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            self._move_aside()
            while ticket := self._schedule.next(time.time()):
                self._begin(ticket.id)
            for partition, departures in self._departures.items():
                for departure in departures.overdue(time.monotonic()):
                    events.OVERTAKEN()
                    self._leave(partition, departure)
            self._tell()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TICK_S)

    def _begin(self, name: str) -> None:
        fetching = self._links[name]
        fetching.progress = Progress()
        self._fast[name] = fetching
        self._tasks[name] = self._parts.start(self._work(fetching, fetching.progress))

    async def _work(self, fetching: _Fetching, progress: Progress) -> None:
        link, name, partition = fetching.link, fetching.name, fetching.partition
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
        del self._links[name]
        self._leaving.add(name)
        for departure in self._departures[partition].finish(link, outcome, time.monotonic()):
            self._leave(partition, departure)
        self._wake.set()

    def _leave(self, partition: int, departure: Departure) -> None:
        self._leaving.discard(_name(partition, departure.link))
        self._finished(partition, departure)

    def _move_aside(self) -> None:
        for name, fetching in list(self._fast.items()):
            if fetching.progress and fetching.progress.is_slow(self._limits) and self._schedule.slow(name):
                del self._fast[name]

    def _tell(self) -> None:
        events.WAITING.set(self._schedule.waiting)
        events.RUNNING.set(self._schedule.running)
        oldest = next((each.listed_s for each in self._links.values() if not each.progress), None)
        events.OLDEST_WAITING_S.set(time.monotonic() - oldest if oldest is not None else 0.0)


def _name(partition: int, link: Link) -> str:
    """Return what tells this link from all others here: ids are unique in one partition only."""
    return f"{partition}/{link.id}"


def _unprocessable() -> Outcome:
    return Outcome("failed", "unprocessable", at=datetime.now(UTC))


def _left_s(link: Link) -> float:
    return link.deadline.timestamp() - time.time()
