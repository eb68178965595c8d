"""Moving what waits in the spool to Kafka, oldest first, and handing over to the direct way without a gap."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from ingress.keeping import Kafka
from ingress.records import Record, records
from ingress.session import NotPublished
from ingress.spool_file import Row, SpoolFull
from ingress.spool_writer import SpoolFailed
from models import envelope, telemetry
from models.errors import TooLarge

RETRY_S = 0.25


class Source(Protocol):
    """What is asked of the spool here; `ingress.spool.Spool` does it."""

    @property
    def backlog(self) -> int:
        """How many deliveries wait, those on their way to the disk included."""

    @property
    def pending(self) -> int:
        """How many are on their way to the disk."""

    @property
    def usable(self) -> bool:
        """Whether what waits can be read."""

    async def head(self, count_max: int) -> list[Row]:
        """Return the oldest, in order."""

    async def remove(self, last: Row) -> None:
        """Forget everything up to and including `last`."""

    async def hold(self, row: Row) -> None:
        """Set one aside until the next start."""

    async def changed(self) -> None:
        """Wait for the next news."""


class Sink(Kafka, Protocol):
    """What is asked of Kafka here."""

    async def usable(self) -> None:
        """Wait until a publish is worth trying."""


class Drain:
    """Moves deliveries step by step; a step is acknowledged by Kafka before it is forgotten."""

    def __init__(self, spool: Source, kafka: Sink, gate: asyncio.Event, *, batch_max: int, body_bytes_max: int) -> None:
        self._spool = spool
        self._kafka = kafka
        self._gate = gate
        self._batch_max = batch_max
        self._body_bytes_max = body_bytes_max

    async def run(self) -> None:
        """Drain whenever there is something to drain, until cancelled."""
        moving = False
        while True:
            if not (self._spool.backlog and self._spool.usable):
                moving = False
                await self._spool.changed()
                continue
            await self._kafka.usable()
            try:
                # Kafka has just taken a step, and the next one holds all that is left: nobody may slip in behind it.
                moving = await (self._last_step() if moving and self._is_short() else self._step())
            except (SpoolFull, SpoolFailed):
                moving = False
            if not moving:
                await asyncio.sleep(RETRY_S)

    def _is_short(self) -> bool:
        return self._spool.backlog <= self._batch_max

    async def _last_step(self) -> bool:
        """Move all that is left while new deliveries wait at the gate, a moment long."""
        self._gate.clear()
        try:
            while self._spool.pending:
                await self._spool.changed()
            return await self._step()
        finally:
            self._gate.set()

    async def _step(self) -> bool:
        """Move the oldest deliveries; return whether Kafka took them."""
        rows = await self._spool.head(self._batch_max)
        if not rows:
            return True
        try:
            await self._kafka.publish(self._records(rows), timeout_s=None)
        except TooLarge:
            return await self._one_by_one(rows)
        except NotPublished:
            return False
        await self._forget(rows[-1], len(rows))
        return True

    async def _one_by_one(self, rows: Sequence[Row]) -> bool:
        """Find what the broker refuses for its size and set it aside, so that the others do not wait for it."""
        for row in rows:
            try:
                await self._kafka.publish(self._records([row]), timeout_s=None)
            except TooLarge:
                await self._spool.hold(row)
                telemetry.SPOOL_HELD(bytes=len(row.delivery.body))
            except NotPublished:
                return False
            else:
                await self._forget(row, 1)
        return True

    async def _forget(self, last: Row, count: int) -> None:
        """Remove what was moved, trying until it works: sending it again instead would never end."""
        while True:
            try:
                await self._spool.remove(last)
                break
            except (SpoolFull, SpoolFailed):
                self._gate.set()
                await asyncio.sleep(RETRY_S)
        telemetry.SPOOL_DRAINED(count, left=self._spool.backlog)
        if not self._spool.backlog:
            telemetry.SPOOL_EMPTY()

    def _records(self, rows: Sequence[Row]) -> list[Record]:
        return [
            record
            for row in rows
            for record in records(row.delivery, envelope.read(row.delivery.body), body_bytes_max=self._body_bytes_max)
        ]
