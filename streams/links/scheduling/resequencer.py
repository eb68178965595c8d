"""Release finished links in delivery order per patient: a resequencer with a timeout. Pure.

Bundles of one patient are released in the order in which their deliveries came. Everything else is released at once,
and so is a bundle that has waited longer than `order_wait_s` for an older one: a link that hangs for its whole life
must not hold up the patient. The record that comes late says so by its `when`.

https://www.enterpriseintegrationpatterns.com/patterns/messaging/Resequencer.html
"""

from bisect import insort
from collections import defaultdict
from typing import NamedTuple

from streams.links.link import Ended, Link


class _Held(NamedTuple):
    ended: Ended
    since_s: float


class Resequencer:
    """Holds back finished bundles until the older ones of their patient are released."""

    def __init__(self, *, order_wait_s: float) -> None:
        self._order_wait_s = order_wait_s
        self._listed: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)  # by patient, in delivery order
        self._held: dict[str, dict[str, _Held]] = {}  # by patient and link

    def expect(self, link: Link) -> None:
        """Note that `link` will be finished; a second time changes nothing."""
        place = (link.order, link.id)
        if link.kind == "bundle" and place not in self._listed[link.key]:
            insort(self._listed[link.key], place)

    def finish(self, ended: Ended, now_s: float) -> list[Ended]:
        """Return what is released now that a link has ended: nothing, itself, or itself and those behind it."""
        link = ended.link
        if link.kind != "bundle":
            return [ended]
        self._held.setdefault(link.key, {})[link.id] = _Held(ended, now_s)
        return self._release_first(link.key)

    def release_overdue(self, now_s: float) -> list[Ended]:
        """Return what has waited long enough for older ones, and what waited for that."""
        released: list[Ended] = []
        for key in list(self._held):
            overdue = [held.ended for held in self._held[key].values() if now_s - held.since_s >= self._order_wait_s]
            overdue.sort(key=lambda ended: (ended.link.order, ended.link.id))
            released += [self._release(ended.link) for ended in overdue]
            released += self._release_first(key)
        return released

    def _release_first(self, key: str) -> list[Ended]:
        released = []
        while (listed := self._listed.get(key)) and (held := self._held.get(key, {}).get(listed[0][1])):
            released.append(self._release(held.ended.link))
        return released

    def _release(self, link: Link) -> Ended:
        listed, held = self._listed[link.key], self._held[link.key]
        ended = held.pop(link.id).ended
        listed.remove((link.order, link.id))
        if not listed:
            del self._listed[link.key]
        if not held:
            del self._held[link.key]
        return ended
