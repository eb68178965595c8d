"""The spool: where deliveries are safe while Kafka is slow or away.

A delivery is in the spool when `write` returns; until it is removed it counts as backlog, also on its way to the disk.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ingress.records import Delivery
from ingress.spool_file import FILE_NAME, Row, SpoolFile
from ingress.spool_lock import SpoolLock
from ingress.spool_writer import Ask, Report, SpoolFailed, SpoolState, SpoolWriter, Write
from models import telemetry

DRAIN_BYTES_MAX = 8 * 2**20
OPEN_TIMEOUT_S = 10.0

_Answer = TypeVar("_Answer")


class Spool:
    """A durable queue of deliveries in `folder`; `bytes_max` 0 switches it off."""

    def __init__(self, folder: Path, *, bytes_max: int, batch_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._batch_max = batch_max
        self._writer: SpoolWriter | None = None
        self._lock: SpoolLock | None = None
        self._pending = 0
        self._count = 0
        self._changed = asyncio.Event()
        self.state: SpoolState = "off"
        self.set_aside = 0

    async def open(self) -> None:
        """Lock the folder, open the file and look what it holds; raise `Misconfigured` if that cannot work."""
        if self._bytes_max == 0:
            return
        self._lock = SpoolLock(self._folder)
        loop = asyncio.get_running_loop()

        def hear(report: Report) -> None:
            loop.call_soon_threadsafe(self._hear, report)

        self._writer = SpoolWriter(
            self._folder / FILE_NAME,
            bytes_max=self._bytes_max,
            batch_max=self._batch_max,
            report=hear,
        )
        self._writer.start()
        try:
            # A large one takes long to look through, or to salvage: deliveries do not wait outside for that.
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._ask(lambda _: None)
        except (SpoolFailed, TimeoutError):
            # Said and counted; it is tried again, and until then Kafka is the only way.
            return
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is being written, and let go of the folder."""
        writer, self._writer = self._writer, None
        lock, self._lock = self._lock, None
        if writer is not None:
            writer.submit(None)
            await asyncio.to_thread(writer.join)
        if lock is not None:
            lock.release()

    @property
    def backlog(self) -> int:
        """How many deliveries are in the spool, or on their way into it."""
        return self._count + self._pending

    @property
    def pending(self) -> int:
        """How many of them are not on the disk yet."""
        return self._pending

    @property
    def usable(self) -> bool:
        """Whether the file can be read and written."""
        return self.state in ("ok", "full")

    async def write(self, delivery: Delivery) -> None:
        """Return when `delivery` is on the disk; raise `SpoolFull` or `SpoolFailed` when it is not."""
        if self._writer is None:
            raise SpoolFailed("switched off")
        self._pending += 1
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writer.submit(Write(delivery, done))
        await done

    async def head(self, count_max: int) -> list[Row]:
        """Return the oldest deliveries, in order."""
        return await self._ask(lambda file: file.head(count_max=count_max, bytes_max=DRAIN_BYTES_MAX))

    async def remove(self, last: Row) -> None:
        """Forget every delivery up to and including `last`."""
        await self._ask(lambda file: file.remove(last))

    async def hold(self, row: Row) -> None:
        """Set one delivery aside until the next start."""
        await self._ask(lambda file: file.hold(row))

    async def changed(self) -> None:
        """Wait for the next news of the spool: something written or removed, or a look at the disk."""
        self._changed.clear()
        await self._changed.wait()

    async def _ask(self, ask: Callable[[SpoolFile], _Answer]) -> _Answer:
        if self._writer is None:
            raise SpoolFailed("switched off")
        done: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._writer.submit(Ask(ask, done))
        return await done

    def _hear(self, report: Report) -> None:
        self.state, self._count, self.set_aside = report.state, report.count, report.set_aside
        self._pending -= report.written
        telemetry.SPOOL_RECORDS.set(report.count)
        telemetry.SPOOL_BYTES.set(report.bytes)
        telemetry.SPOOL_SET_ASIDE.set(report.set_aside)
        for done, outcome in report.ended:
            if done.cancelled():
                continue
            if isinstance(outcome, Exception):
                done.set_exception(outcome)
            else:
                done.set_result(outcome)
        self._changed.set()
