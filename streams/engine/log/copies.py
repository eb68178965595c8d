"""Decides whether a local copy of the state may be brought up to date from the changelog, or must be made anew.

Compaction removes a tombstone some time after the record it deletes (`delete.retention.ms`): a copy that is older than
that keeps what is gone. And a changelog that lost its end and has grown again does not continue the copy.
"""

from typing import NamedTuple

from streams.engine.ports import Copy

# Hosts whose clocks are kept differ by less.
CLOCKS_DIFFER_MS = 5 * 60 * 1000

UNLIKE = "unlike_changelog"
OLD = "old"
CLOCK = "clock_went_back"


class Changelog(NamedTuple):
    """The hash of the record at the offset that the copy contains, if it is there; the end; the newest timestamp."""

    digest: bytes | None
    end: int
    newest_ms: int


def flaw(copy: Copy, changelog: Changelog, *, now_ms: int, age_max_ms: int) -> str:
    """Return why this copy must not be used, as a word from a bounded set; nothing if it may.

    A copy that contains all of its changelog is as old as that, whatever the clocks say. Where it does not, age counts
    by this host's clock and by those of the hosts that have written since: one of them may stand, or be wrong.
    """
    if copy.digest and copy.digest != changelog.digest:
        return UNLIKE
    if copy.reached + 1 == changelog.end:
        return ""
    if copy.current_at_ms is None:
        return OLD
    if now_ms < copy.current_at_ms - CLOCKS_DIFFER_MS:
        return CLOCK
    return OLD if max(now_ms, changelog.newest_ms) - copy.current_at_ms > age_max_ms else ""
