"""Decides when to check that a log that is being read still holds the record that was read last.

Behind every reconnect there may be a leader that was behind, or a broker that lost its newest records with its power.
"""

import time
from collections.abc import Callable, Mapping

from streams.engine.fingerprints import Fingerprint
from streams.engine.ports import LogPartition

_LOOK_EVERY_S = 60.0  # a leader can change and change back between two fetches


class Continuity:
    """Keeps each partition's last record, as a fingerprint, and the connection by which it was last checked."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._fingerprints: dict[LogPartition, Fingerprint] = {}
        self._trusted: dict[LogPartition, tuple[object, float]] = {}

    def begin(self, fingerprints: Mapping[LogPartition, Fingerprint]) -> None:
        """Start over behind these records."""
        self._fingerprints = dict(fingerprints)
        self._trusted.clear()

    def took(self, partition: LogPartition, fingerprint: Fingerprint) -> None:
        """Note that this is the last record now."""
        self._fingerprints[partition] = fingerprint

    def doubtful(self, connections: Mapping[LogPartition, object]) -> dict[LogPartition, Fingerprint]:
        """Return the last records that must be checked before what came by these connections is taken."""
        return {
            partition: self._fingerprints[partition]
            for partition, connection in connections.items()
            if partition in self._fingerprints and not self._trusts(partition, connection)
        }

    def looked(self, connections: Mapping[LogPartition, object]) -> None:
        """Note that the last records were found in their logs, by these connections."""
        now = self._clock()
        self._trusted.update({partition: (connection, now) for partition, connection in connections.items()})

    def _trusts(self, partition: LogPartition, connection: object) -> bool:
        by, looked_at = self._trusted.get(partition, (None, 0.0))
        return connection is not None and by is connection and self._clock() - looked_at < _LOOK_EVERY_S
