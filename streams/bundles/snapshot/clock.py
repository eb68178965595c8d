"""Tell when a snapshot was made, as far as that can be believed. Pure.

Metriport's `when` orders snapshots. One in the future would make all later ones stale for ever, so it is believed only
up to a few minutes past the time of receipt.
"""

from typing import Literal, NamedTuple

from models import moments

TOLERANCE_MS = 5 * 60 * 1000
_EVER = 2**62

Doubt = Literal["", "future", "unreadable"]


class Times(NamedTuple):
    """Milliseconds since 1970. `at_ms` is when the snapshot was received; nothing after `latest_ms` is believed.

    `doubt` says why `when` does not count, if so.
    """

    when_ms: int
    at_ms: int
    latest_ms: int
    doubt: Doubt = ""


def times(when: str | None, received_at: str | None, written_ms: int) -> Times:
    """Return the times of a snapshot; `written_ms` is the timestamp of its record, which may be none (0 or less).

    `received_at` counts where `when` cannot be read or lies further in the future than clocks differ; the record's own
    timestamp where that cannot be read either.
    """
    told_ms, received_ms = _milliseconds(when), _milliseconds(received_at)
    at_ms = received_ms if received_ms is not None else max(written_ms, 0) or None
    # A record may have waited for long; what was received after it was written after it, too.
    latest_ms = max(at_ms, written_ms) + TOLERANCE_MS if at_ms is not None else _EVER
    if told_ms is None:
        doubt: Doubt = "unreadable" if when else ""
        return Times(at_ms or 0, at_ms or 0, latest_ms, doubt)
    if at_ms is not None and told_ms > at_ms + TOLERANCE_MS:
        return Times(at_ms, at_ms, latest_ms, "future")
    return Times(told_ms, at_ms if at_ms is not None else told_ms, latest_ms)


def _milliseconds(text: str | None) -> int | None:
    found = moments.parse(text)
    return None if found is None else max(0, round(found.timestamp() * 1000))
