"""Writes in the one safe order: outputs acknowledged, then the changelog acknowledged, then the local copy."""

import time
from collections.abc import Callable, Mapping, Sequence

from streams.engine.job import Changes, Output
from streams.engine.log import checkpoint
from streams.engine.ports import LocalState, LogPartition, Sender


class Writer:
    """The outputs, the changelog and the local state of one stage."""

    def __init__(
        self, sender: Sender, state: LocalState, changelog: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sender = sender
        self._state = state
        self._changelog = changelog
        self._clock = clock
        self._begin_with: dict[int, Changes] = {}
        self.written_at: dict[int, float] = {}
        self._wrote: dict[int, dict[bytes, bytes | None]] = {}  # the outputs' ends that the state does not say yet
        self.moved_at: dict[LogPartition, float] = {}

    def one_batch(self, changes: Changes) -> bool:
        """Return whether these changes are one record batch of ordinary size."""
        return self._sender.fits(self._rows(changes))

    def begin_with(self, partition: int, changes: Changes) -> None:
        """Write these together with the next changes of this partition."""
        self._begin_with[partition] = {**self._begin_with.get(partition, {}), **changes}

    async def write(
        self, partition: int, outputs: Mapping[str, Sequence[Output]], changes: Changes, *, atomic: bool = True
    ) -> None:
        """Write all of it; atomic changes exist in the changelog together or not at all."""
        if outputs:
            await self._sender.send(partition, outputs)
            noted = self._wrote.setdefault(partition, {})
            for topic, rows in outputs.items():
                end = self._sender.end(topic, partition)
                noted |= checkpoint.wrote(topic, end - 1, rows[-1].key, rows[-1].value)
        if changes:
            changes = {**self._begin_with.get(partition, {}), **changes, **self._wrote.pop(partition, {})}
            rows = self._rows(changes)
            reached = await self._sender.send(partition, {self._changelog: rows}, whole=atomic)
            self._state.put_many(partition, changes.items(), reached)
            self._begin_with.pop(partition, None)
        self.worked(partition)

    def worked(self, partition: int) -> None:
        """Note that the work on this partition number moves: something is written, or long work says so itself."""
        self.written_at[partition] = self._clock()

    def begin(self) -> None:
        """Begin an assignment: what was noted in an earlier one may be another owner's by now."""
        self._wrote.clear()
        self._begin_with.clear()

    def moved(self, source_topic: str, partition: int) -> None:
        """Note that the position of this source has just moved."""
        self.moved_at[source_topic, partition] = time.monotonic()

    def _rows(self, changes: Changes) -> list[Output]:
        return [Output(self._changelog, key, value) for key, value in changes.items()]
