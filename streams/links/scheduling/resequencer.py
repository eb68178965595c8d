"""In which order finished links leave. Pure: told what is listed and what is finished, it says what may leave.

Bundles of one patient leave in the order in which their deliveries came. Everything else leaves at once, and so does a
bundle that has waited longer than `order_wait_s` for an older one: a link that hangs for its whole life must not hold
up the patient. The record that comes late says so by its `when`.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from streams.links.link import Link, Outcome


class Departure(NamedTuple):
    """One finished link."""

    link: Link
    outcome: Outcome


class _Finished(NamedTuple):
    departure: Departure
    at_s: float


class Departures:
    """Holds back finished bundles until the older ones of their patient have left."""

    def __init__(self, *, order_wait_s: float) -> None:
        self._order_wait_s = order_wait_s
        self._listed: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        self._held: dict[str, dict[str, _Finished]] = {}

    def list(self, link: Link) -> None:
        """Note that `link` will leave; before it is finished."""
        place = (link.order, link.id)
        if link.kind == "bundle" and place not in self._listed[link.key]:
            insort(self._listed[link.key], place)

    def finish(self, link: Link, outcome: Outcome, now_s: float) -> Iterable[Departure]:
        """Return what leaves now that `link` is finished: nothing, itself, or itself and those behind it."""
        departure = Departure(link, outcome)
        if link.kind != "bundle":
            return [departure]
        self._held.setdefault(link.key, {})[link.id] = _Finished(departure, now_s)
        return self._leaving(link.key)

    def overdue(self, now_s: float) -> Iterable[Departure]:
        """Return what has waited long enough for older ones."""
        leaving: list[Departure] = []
        for key in list(self._held):
            waited = [held for held in self._held[key].values() if now_s - held.at_s >= self._order_wait_s]
            waited.sort(key=lambda held: (held.departure.link.order, held.departure.link.id))
            leaving.extend([self._leave(held.departure.link) for held in waited])
            leaving.extend(self._leaving(key))
        return leaving

    def _leaving(self, key: str) -> Iterable[Departure]:
        leaving = []
        while (listed := self._listed.get(key)) and (held := self._held.get(key, {}).get(listed[0][1])):
            leaving.append(self._leave(held.departure.link))
        return leaving

    def _leave(self, link: Link) -> Departure:
        listed, held = self._listed[link.key], self._held[link.key]
        departure = held.pop(link.id).departure
        listed.remove((link.order, link.id))
        if not listed:
            del self._listed[link.key]
        if not held:
            del self._held[link.key]
        return departure
