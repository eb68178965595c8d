"""When to look whether a log that is being read still holds the record that was read last.

Behind every reconnect there may be a leader that was behind, or a broker that lost its newest records with its power.
"""

import time
from collections.abc import Callable, Mapping

from streams.engine.marks import Mark
from streams.engine.ports import LogPartition

_LOOK_EVERY_S = 60.0  # a leader can change and change back between two fetches


class Continuity:
    """Keeps the mark of the last record of each partition, and the connection by which records came since a look."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks: dict[LogPartition, Mark] = {}
        self._trusted: dict[LogPartition, tuple[object, float]] = {}

    def begin(self, marks: Mapping[LogPartition, Mark]) -> None:
        """Start over behind these records."""
        self._marks = dict(marks)
        self._trusted.clear()

    def took(self, partition: LogPartition, mark: Mark) -> None:
        """Note that this is the last record now."""
        self._marks[partition] = mark

    def doubtful(self, connections: Mapping[LogPartition, object]) -> dict[LogPartition, Mark]:
        """Return the last records that must be looked at before what came by these connections is taken."""
        return {
            partition: self._marks[partition]
            for partition, connection in connections.items()
            if partition in self._marks and not self._trusts(partition, connection)
        }

    def looked(self, connections: Mapping[LogPartition, object]) -> None:
        """Note that the last records were all there."""
        now = self._clock()
        self._trusted.update({partition: (connection, now) for partition, connection in connections.items()})

    def _trusts(self, partition: LogPartition, connection: object) -> bool:
        by, looked_at = self._trusted.get(partition, (None, 0.0))
        return connection is not None and by is connection and self._clock() - looked_at < _LOOK_EVERY_S
