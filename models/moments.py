"""Read the times that Metriport writes: ISO 8601, mostly UTC with milliseconds and `Z`, but whatever a sender has."""

from datetime import UTC, datetime, timedelta

NEVER = "1970-01-01T00:00:00.000Z"  # stands where a time must stand and none was told

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS_MAX = 200_000_000_000_000  # in the year 8307


def parse(text: object, *, zoned_only: bool = False) -> datetime | None:
    """Return the moment that `text` says, in UTC; None if it is no time, or one that no calendar has in UTC.

    One without a zone is UTC, unless `zoned_only`: then it is none.
    """
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        if found is None or (zoned_only and found.tzinfo is None):
            return None
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def of_ms(since_1970_ms: int) -> datetime:
    """Return a time of Kafka's in UTC; one that no calendar has becomes the nearest that leaves room for a deadline."""
    return _EPOCH + timedelta(milliseconds=min(max(since_1970_ms, 0), _MS_MAX))


def first(*texts: str | None) -> str:
    """Return the first of these that is a time, as it is written; `NEVER` if none is."""
    return next((text for text in texts if text is not None and parse(text) is not None), NEVER)
