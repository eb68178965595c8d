"""Decides what follows when the work on something ended the process, and how often it may. Pure.

What is known to be its own doing sends it to quarantine the second time. A death that nobody explains may have come
from outside: it counts only when five in a row met the same thing. Until then what is suspected works alone, one by
one, so that a death says who it was, and no neighbour is taken for it.
"""

from typing import Literal, NamedTuple

OWN_MAX = 2
UNEXPLAINED_MAX = 5
UNEXPLAINED_ALONE = 2  # from here on alone

Cause = Literal["own", "unexplained", "one of several", "innocent"]


class Begun(NamedTuple):
    """One piece of work that was begun and not ended; `blamed` if it is known to have ended the process."""

    partition: int
    work: str
    blamed: bool

    @property
    def is_listed(self) -> bool:
        """Whether the state lists it, beside the records of its sources."""
        return self.work.startswith("at ")


class Ending(NamedTuple):
    """How the process before this one ended.

    `explained`: it said so itself. `by_itself`: it crashed, or the system killed for memory in its control group.
    """

    explained: bool
    by_itself: bool
    is_known: bool  # false on a host that has not seen it
    begun: tuple[Begun, ...]


class Suspect(NamedTuple):
    """Records `first` to `last` of one source partition (both 0 for other work) and their deaths so far.

    `begun`: the work on them is under way. `refused`: it was decided that they go to quarantine.
    """

    first: int
    last: int
    own: int = 0
    unexplained: int = 0
    begun: bool = False
    refused: bool = False

    @property
    def is_alone(self) -> bool:
        """Whether it is to be worked on one by one, and with nothing else in work."""
        return self.own > 0 or self.unexplained >= UNEXPLAINED_ALONE

    @property
    def is_too_costly(self) -> bool:
        """Whether it is to go to quarantine."""
        ended = self.own >= OWN_MAX or self.unexplained >= UNEXPLAINED_MAX
        return self.refused or (ended and self.first == self.last)

    def encode(self) -> bytes:
        """Return it as the state keeps it: six numbers, `first/last/own/unexplained/begun/refused`."""
        return b"%d/%d/%d/%d/%d/%d" % self


def decode(value: bytes) -> Suspect:
    """Return what `encode` made."""
    first, last, own, unexplained, begun, refused = map(int, value.split(b"/"))
    return Suspect(first, last, own, unexplained, bool(begun), bool(refused))


def cause(ending: Ending, begun: Begun) -> Cause:
    """Return what a piece of work that was begun has to do with the end of its process."""
    if begun.blamed:
        return "own"
    if ending.explained:
        return "innocent"
    if ending.by_itself:
        return "own" if len(ending.begun) == 1 else "one of several"
    # Of work that goes on in any number at once, most is innocent of most deaths.
    return "innocent" if begun.is_listed and len(ending.begun) > 1 else "unexplained"


def counted(known: Suspect | None, first: int, last: int, why: Cause) -> Suspect | None:
    """Return what is suspected after a death that met the records `first` to `last`, None if nothing is."""
    if known is not None:
        known = known._replace(begun=False)
    if why == "innocent":
        return known if known is not None and (known.own or known.unexplained) else None
    met = Suspect(first, last)
    if known is not None and known.first <= last and known.last >= first:
        # Whoever it is was there both times.
        met = known._replace(first=max(first, known.first), last=min(last, known.last))
    if why == "own":
        return met._replace(own=met.own + 1)
    return met._replace(unexplained=met.unexplained + (UNEXPLAINED_ALONE if why == "one of several" else 1))


def pending(known: Suspect, done: int) -> Suspect | None:
    """Return what is still suspected when everything below `done` is finished."""
    if known.last < done:
        return None
    return known._replace(first=max(known.first, done))
