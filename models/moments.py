"""Read the times that Metriport writes: ISO 8601, mostly UTC with milliseconds and `Z`, but whatever a sender has."""

from datetime import UTC, datetime

NEVER = "1970-01-01T00:00:00.000Z"  # stands where a time must stand and none was told


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


def first(*texts: str | None) -> str:
    """Return the first of these that is a time, as it is written; `NEVER` if none is."""
    return next((text for text in texts if text is not None and parse(text) is not None), NEVER)
