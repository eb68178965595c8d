"""Decide which of two facts is newer, whatever the order they arrive in. Pure.

Every rule here is a maximum over a total order, so folding the same facts twice, or in another order, changes nothing.
"""

from typing import Any

from models import moments

Version = list[str]  # [when, message id]: as JSON keeps it

PENDING = frozenset({"processing", "waiting"})


def version(record: dict[str, Any]) -> Version:
    """Return how new a record is: by Metriport's `when`, then by message id so that equals have an order."""
    return [instant(record.get("when")), told(record.get("messageId")) or ""]


def instant(text: object) -> str:
    """Return a time in one comparable form, "" if it is none; it may carry any offset or be a date alone."""
    moment = moments.parse(text)
    return "" if moment is None else moment.isoformat(timespec="microseconds")


def told(value: object) -> str | None:
    """Return a text, None if it is anything else: an odd hint costs the hint and not the record."""
    return value if isinstance(value, str) else None


def within(record: dict[str, Any], field: str) -> dict[str, Any]:
    """Return the object at `field`, an empty one if it is anything else."""
    value = record.get(field)
    return value if isinstance(value, dict) else {}


def keep_newest(state: dict[str, Any], field: str, value: object, at: Version) -> None:
    """Set `state[field]` unless what is there is newer. None says nothing and never overwrites."""
    if value is None:
        return
    versions = state.setdefault("versions", {})
    known = versions.get(field, [])
    # Two values of one version should not be; which of them stays must still not depend on who came first.
    if at > known or (at == known and repr(value) > repr(state[field])):
        state[field] = value
        versions[field] = at


def status_rank(status: str | None, at: Version) -> list[Any]:
    """Rank a status: a final one beats `processing` whenever either came, then the newest wins."""
    return [status not in PENDING, *at, status or ""]


def earliest(*times: str | None) -> str | None:
    """Return the earliest of some times as written; what is no time does not count."""
    return min(filter(instant, times), key=_order, default=None)


def latest(*times: str | None) -> str | None:
    """Return the latest of some times as written; what is no time does not count."""
    return max(filter(instant, times), key=_order, default=None)


def _order(text: str | None) -> tuple[str, str]:
    return instant(text), text or ""
