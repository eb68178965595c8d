"""What one worker is doing, as plain facts: for readiness, for metrics, and for the watchdog."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streams.engine.positions import Facts, Partition, Positions
from streams.engine.restore import Restoration


@dataclass(frozen=True)
class Health:
    """`ready` means restored and consuming; `waiting_for` says what is missing."""

    ready: bool
    waiting_for: str
    partitions: Mapping[Partition, Facts]
    restored_records: int
    restored_s: float
    stuck_s: float


def health_of(positions: Positions, restoration: Restoration, written_at: Callable[[int], float]) -> Health:
    """Return what a worker with these positions is doing."""
    facts = positions.facts()
    return Health(
        ready=not positions.held,
        waiting_for="the group, or the restore of the state" if positions.held else "",
        partitions=facts,
        restored_records=restoration.records,
        restored_s=restoration.seconds,
        stuck_s=_stuck_s(positions, restoration, facts, written_at),
    )


def _stuck_s(
    positions: Positions,
    restoration: Restoration,
    facts: Mapping[Partition, Facts],
    written_at: Callable[[int], float],
) -> float:
    """Return for how long something that should move has not moved."""
    now = time.monotonic()
    if positions.held:
        return now - max(positions.held_since, restoration.moved_at)
    waits = (min(fact.oldest_unfinished_s, now - written_at(number)) for (_, number), fact in facts.items())
    return max(waits, default=0.0)
