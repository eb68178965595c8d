"""Times as an operator gives them: so long ago, or a time of ISO 8601."""

import re
from datetime import UTC, datetime, timedelta

from models.errors import Misconfigured

_AGO = re.compile(r"([0-9]{1,9})\s*(s|m|min|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def moment(text: str, option: str, *, now: datetime) -> datetime:
    """Return the time that `10m`, `2026-01-31` or `2026-01-31T12:00:00+01:00` means; without a zone, UTC.

    Raise `Misconfigured` if it means none.
    """
    try:
        if ago := _AGO.fullmatch(text.strip().lower()):
            return now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
        found = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise Misconfigured(
            f"{option} takes so long ago, such as 30s, 10m, 2h or 7d, or a time of ISO 8601 such as"
            " 2026-01-31T12:00:00Z (UTC if it names no zone)."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def milliseconds(at: datetime) -> int:
    """Return it in milliseconds since 1970, as Kafka counts."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
