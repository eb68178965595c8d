"""Gives Faust our consumer, and that consumer what it needs to decide."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

from faust.transport.drivers import aiokafka as driver

from streams.engine import events
from streams.engine.driver.consumer import BatchConsumer
from streams.engine.fatal import Fatal
from streams.engine.ports import LogPartition
from streams.engine.settings import EngineSettings
from streams.engine.work.engine import Engine
from streams.engine.work.positions import Positions

_QUEUED_BATCHES_MAX = 2  # per partition, fetched and not finished
_UNFINISHED_BYTES_MAX = 256 * 2**20  # over all partitions


class BatchTransport(driver.Transport):  # type: ignore[misc]
    """Calls `engine.revoked` when partitions are about to go, which returns once nothing is being written any more.

    `stopping` is called when the process is asked to stop, `end` ends it.
    """

    Consumer: ClassVar[type] = BatchConsumer

    def __init__(
        self,
        url: Any,
        app: Any,
        *,
        settings: EngineSettings,
        engine: Engine,
        stopping: Callable[[], None],
        end: Callable[[BaseException | str], NoReturn],
    ) -> None:
        super().__init__(url, app)
        self.positions = Positions(queued_batches_max=_QUEUED_BATCHES_MAX, unfinished_bytes_max=_UNFINISHED_BYTES_MAX)
        self.engine = engine
        self.interrupt = engine.revoked
        self.die = end
        self._stopping = stopping
        self.stop_timeout_s = settings.stop_timeout_s
        self._stage = settings.stage
        self._interrupting: asyncio.Future[None] | None = None

    def interrupt_soon(self) -> None:
        """Interrupt without waiting: the process is asked to stop, and the caller cannot await."""
        self._stopping()
        self._interrupting = asyncio.ensure_future(self.interrupt())

    def start(self, partition: LogPartition, committed: int | None, earliest: int, end: int) -> int:
        """Return where to read on, or raise `Fatal` if the topic is not the one that was committed.

        The state knows better than the group, whose offsets may be gone or moved.
        """
        known = self.engine.position(partition)
        if known is not None:
            committed = known
        if committed is None:
            return earliest
        name = f"{partition[0]}/{partition[1]}"
        if committed > end:
            raise Fatal(
                f"{name}: committed up to {committed}, but the topic ends at {end}: it was deleted and made again, "
                "or it lost records. Operator action: start a new generation (another prefix, or a new state folder, "
                "changelog and consumer group); the old positions mean nothing in the new topic."
            )
        if committed < earliest:
            events.UNREAD_EXPIRED(earliest - committed, stage=self._stage, topic=partition[0])
        return max(committed, earliest)
