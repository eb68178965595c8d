"""Decide which link is fetched next. Pure: no clock, no tasks.

The link that dies first goes first, as far as its host and its patient have room. A fetch that makes no progress moves
to a second lane, so that what hangs takes no room from what does not.
"""

from collections import Counter, defaultdict
from heapq import heappop, heappush
from operator import itemgetter
from typing import Literal, NamedTuple

from streams.links.limits import FetchLimits

Lane = Literal["fast", "slow"]


class Ticket(NamedTuple):
    """One link waiting for its turn; sorts by urgency."""

    deadline_s: float
    order: int
    id: str
    host: str
    patient: str


class _Running(NamedTuple):
    ticket: Ticket
    lane: Lane


class _Queue:
    """What waits for one host: by deadline, and behind that whose deadline has passed but is tried all the same."""

    def __init__(self) -> None:
        self._alive: list[Ticket] = []
        self._late: list[Ticket] = []

    def push(self, ticket: Ticket) -> None:
        heappush(self._alive, ticket)

    def first(self, now_s: float) -> tuple[bool, Ticket] | None:
        """Return the most urgent ticket, and before it whether it is late."""
        while self._alive and self._alive[0].deadline_s < now_s:
            heappush(self._late, heappop(self._alive))
        if self._alive:
            return False, self._alive[0]
        return (True, self._late[0]) if self._late else None

    def pop(self) -> Ticket:
        return heappop(self._alive or self._late)

    @property
    def empty(self) -> bool:
        return not (self._alive or self._late)


class Schedule:
    """The tickets that wait and those that run."""

    def __init__(self, limits: FetchLimits) -> None:
        self._limits = limits
        self._waiting: dict[str, Ticket] = {}
        self._running: dict[str, _Running] = {}
        self._queues: defaultdict[str, _Queue] = defaultdict(_Queue)
        # Tickets whose patient has no place left, by patient and host.
        self._parked: dict[str, dict[str, list[Ticket]]] = {}
        self._lanes: Counter[Lane] = Counter()
        self._hosts: Counter[tuple[Lane, str]] = Counter()
        self._patients: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        """How many have not started."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many have started and not ended, in both lanes."""
        return len(self._running)

    def add(self, ticket: Ticket) -> None:
        """Line up a link; a second time changes nothing."""
        if ticket.id not in self._waiting and ticket.id not in self._running:
            self._waiting[ticket.id] = ticket
            self._queues[ticket.host].push(ticket)

    def next(self, now_s: float) -> Ticket | None:
        """Return the link to start now, or None if there is none or no room for it."""
        while self._lanes["fast"] < self._limits.concurrency:
            ticket = self._pop(now_s)
            if ticket is None:
                return None
            if self._patients[ticket.patient] >= self._limits.concurrency_per_patient:
                heappush(self._parked.setdefault(ticket.patient, {}).setdefault(ticket.host, []), ticket)
            else:
                del self._waiting[ticket.id]
                self._enter(ticket, "fast")
                return ticket
        return None

    def slow(self, id_: str) -> bool:
        """Move a running link to the slow lane, giving its place to others; False if that lane has no room."""
        running = self._running[id_]
        if (
            running.lane == "slow"
            or self._lanes["slow"] >= self._limits.slow_concurrency
            or self._hosts["slow", running.ticket.host] >= self._limits.slow_concurrency_per_host
        ):
            return False
        self._leave(running)
        self._enter(running.ticket, "slow")
        return True

    def done(self, id_: str) -> None:
        """End a running link."""
        running = self._running.pop(id_, None)
        if running is not None:
            self._leave(running)

    def _pop(self, now_s: float) -> Ticket | None:
        """Take the most urgent ticket of all hosts that have a place left."""
        firsts = (
            (first, queue)
            for host, queue in self._queues.items()
            if self._hosts["fast", host] < self._limits.concurrency_per_host and (first := queue.first(now_s))
        )
        _, queue = min(firsts, key=itemgetter(0), default=(None, None))
        if queue is None:
            return None
        ticket = queue.pop()
        if queue.empty:
            del self._queues[ticket.host]
        return ticket

    def _enter(self, ticket: Ticket, lane: Lane) -> None:
        self._running[ticket.id] = _Running(ticket, lane)
        self._lanes[lane] += 1
        self._hosts[lane, ticket.host] += 1
        if lane == "fast":
            self._patients[ticket.patient] += 1

    def _leave(self, running: _Running) -> None:
        ticket, lane = running
        self._lanes[lane] -= 1
        self._hosts[lane, ticket.host] -= 1
        if not self._hosts[lane, ticket.host]:
            del self._hosts[lane, ticket.host]
        if lane == "fast":
            self._patients[ticket.patient] -= 1
            if not self._patients[ticket.patient]:
                del self._patients[ticket.patient]
            self._unpark(ticket.patient)

    def _unpark(self, patient: str) -> None:
        """Line up one more of the patient's links per host: the first alone may be held up by its host."""
        parked: dict[str, list[Ticket]] = self._parked.get(patient, {})
        for host in list(parked):
            self._queues[host].push(heappop(parked[host]))
            if not parked[host]:
                del parked[host]
        if not parked:
            self._parked.pop(patient, None)
