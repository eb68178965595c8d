"""How much differs from what is known, in the partitions that are ours, and was accepted by nobody: a gauge.

The table says what differs. What operators accept is in `audit`, which is read again every `poll_s`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

from models import acceptance, known
from models.acceptance import Accepted
from streams.deliveries import drift, events
from streams.deliveries.sentinel import STATE_PREFIX
from streams.engine.job import Changes, Context

Read = Callable[[], AsyncIterator[bytes | None]]


class Alarm:
    """Sets the gauge `drift_open`; `read` yields what came to `audit` since it was called last."""

    def __init__(self, read: Read, *, poll_s: float) -> None:
        self._read = read
        self._poll_s = poll_s
        self._accepted: set[Accepted] = set()
        self._open: dict[tuple[int, bytes], list[set[Accepted]]] = {}
        self._following: asyncio.Task[None] | None = None

    def begin(self, partitions: frozenset[int], context: Context) -> None:
        """Show what these partitions' table says, and go on."""
        for partition in partitions:
            self._take(partition, dict(context.scan(partition, STATE_PREFIX)))
        self._show()
        self._following = asyncio.create_task(self._follow())

    async def end(self) -> None:
        """Show nothing any more."""
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.wait({following})
        self._open.clear()
        events.DRIFT_OPEN.clear()

    def written(self, partition: int, changes: Changes) -> None:
        """Show what has changed."""
        found = {key: value for key, value in changes.items() if key.startswith(STATE_PREFIX)}
        if found:
            self._take(partition, found)
            self._show()

    def _take(self, partition: int, states: Changes) -> None:
        for key, value in states.items():
            rows = drift.entries(value) if value else {}
            differences: list[set[Accepted]] = [
                {(name, path, kind) for kind in entry.counts if not known.knows_now(name, path, kind)}
                for (name, _, path), entry in ((row.partition("/"), entry) for row, entry in rows.items())
            ]
            self._open[partition, key] = [each for each in differences if each]

    def _show(self) -> None:
        counts = Counter[str]()
        for (_, key), differences in self._open.items():
            label = key.removeprefix(STATE_PREFIX).decode()
            counts[label] += sum(not each <= self._accepted for each in differences)
        for label, count in counts.items():
            events.DRIFT_OPEN.labels(label).set(count)

    async def _follow(self) -> None:
        while True:
            async for record in self._read():
                self._accepted |= acceptance.accepted(record)
            self._show()
            await asyncio.sleep(self._poll_s)
