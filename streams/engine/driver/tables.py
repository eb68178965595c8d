"""Restores the state in bulk before Faust's own table recovery, which then finds nothing to do.

The restore runs in a task of its own, because aiokafka sends no heartbeats until the callback of a rebalance returns.
The next revoke cancels it; what was restored stays, with its offset.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery

Restore = Callable[[frozenset[int]], Awaitable[None]]


class BatchTables(TableManager):  # type: ignore[misc]
    """Faust's tables, whose recovery calls `restore` with the partition numbers of the changelog that are ours."""

    _recovery: "BulkRecovery | None"
    restore: Restore
    die: Callable[[BaseException | str], NoReturn]

    @property
    def recovery(self) -> "BulkRecovery":
        """The recovery of this process."""
        if self._recovery is None:
            self._recovery = BulkRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery


class BulkRecovery(Recovery):  # type: ignore[misc]
    """Restores first, then goes on as Faust does."""

    _restoring: asyncio.Task[None] | None = None

    def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """End the restore that is under way."""
        self._cancel()
        super().on_partitions_revoked(revoked)

    async def on_rebalance(
        self, assigned: set[Any], revoked: set[Any], newly_assigned: set[Any], generation_id: int = 0
    ) -> None:
        """Begin the restore."""
        self._cancel()
        then = super().on_rebalance
        self._restoring = asyncio.create_task(self._restore(assigned, then, revoked, newly_assigned, generation_id))

    async def on_stop(self) -> None:
        """End the restore that is under way."""
        self._cancel()
        await super().on_stop()

    async def _restore(self, assigned: set[Any], then: Callable[..., Awaitable[None]], *rest: Any) -> None:
        try:
            # Every partition, not only the new ones: after a missed rebalance Faust may not know that one was away.
            await self.tables.restore(frozenset(tp.partition for tp in assigned if self._is_changelog_tp(tp)))
            await then(assigned, *rest)
        except Exception as error:  # noqa: BLE001 - a border of the process
            self.tables.die(error)

    def _cancel(self) -> None:
        if self._restoring is not None:
            self._restoring.cancel()
        self._restoring = None
