"""Moments as people type them: a time with its zone, or how long ago. Pure."""

import re
from datetime import UTC, datetime, timedelta

from models.errors import Misconfigured

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, *, now: datetime) -> datetime:
    """Return what `2026-11-25T10:00+01:00`, `2026-11-25T09:00Z` or `7d` (seven days ago) says, in UTC.

    Raise `Misconfigured` for anything else, a time without a zone included: it would be another moment on each machine.
    """
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        found = datetime.fromisoformat(text.strip())
        if found.tzinfo is None:
            raise Misconfigured(f"{text!r} has no zone; write {text}Z for UTC, or the offset, such as {text}+01:00.")
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Misconfigured(
            f"{text!r} is no time. Write one with its zone, 2026-11-25T09:00Z, or how long ago: 30m, 12h, 7d."
        ) from None


def milliseconds(at: datetime) -> int:
    """Return it in milliseconds since 1970, as Kafka counts."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
