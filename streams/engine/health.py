"""Says what one stage is doing, as plain facts: for readiness, for metrics, and for the watchdog."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streams.engine.kafka.restore import Restoration
from streams.engine.ports import LogPartition
from streams.engine.work.positions import PartitionProgress, Positions


@dataclass(frozen=True)
class Health:
    """`ready`: restored, in the group, and moving; `waiting_for`: what is missing; `stuck_s`: for the watchdog."""

    ready: bool
    waiting_for: str
    partitions: Mapping[LogPartition, PartitionProgress]
    stuck_s: float


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What a health check looks at beside the positions; moments are those of `time.monotonic`."""

    # When something of this partition number was last written, or its long work last made progress.
    written_at: Callable[[int], float] = lambda _: 0.0
    # When the position of this source partition last moved.
    moved_at: Callable[[LogPartition], float] = lambda _: 0.0
    # Seconds since the group last heard from us, and from when on that counts as an outage of Kafka.
    silent_s: Callable[[], float] = lambda: 0.0
    silent_max_s: float = 10.0
    late_after_s: float = 60.0  # a record that is unfinished for longer makes the stage not ready
    decision: str = ""  # what an operator must decide before anything goes on


def health_of(
    positions: Positions, restoration: Restoration, signs: Signs, *, clock: Callable[[], float] = time.monotonic
) -> Health:
    """Return what a stage with these positions is doing."""
    progress = positions.progress()
    now = clock()
    waiting_for = _waiting_for(positions, progress, signs, now)
    return Health(
        ready=not waiting_for,
        waiting_for=waiting_for,
        partitions=progress,
        stuck_s=_stuck_s(positions, restoration, progress, signs, now),
    )


def _waiting_for(
    positions: Positions, progress: Mapping[LogPartition, PartitionProgress], signs: Signs, now: float
) -> str:
    if signs.decision:
        return f"a decision. {signs.decision}"
    if positions.paused:
        return "the group, or the restore of the state"
    if (silent_s := signs.silent_s()) > signs.silent_max_s:
        return f"Kafka: it has not answered a heartbeat for {silent_s:.0f} s"
    # Per source, not per partition number: what another source writes does not make a stuck one well.
    late_s, at = max(
        ((min(each.oldest_unfinished_s, now - signs.moved_at(at)), at) for at, each in progress.items()),
        default=(0.0, ("", 0)),
    )
    return f"{at[0]}/{at[1]}: a record is unfinished for {late_s:.0f} s" if late_s > signs.late_after_s else ""


def _stuck_s(
    positions: Positions,
    restoration: Restoration,
    progress: Mapping[LogPartition, PartitionProgress],
    signs: Signs,
    now: float,
) -> float:
    """Return for how long something that should move has not moved."""
    if signs.decision:
        return 0.0  # to end and start again would change nothing
    if positions.paused:
        return now - max(positions.paused_since, restoration.moved_at)
    waits = (min(each.oldest_unfinished_s, now - signs.written_at(number)) for (_, number), each in progress.items())
    return max(waits, default=0.0)
