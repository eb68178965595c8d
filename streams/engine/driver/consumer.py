"""Changes Faust's consumer so that one event is one batch and only finished batches are committed.

Overridden names, and what Faust and aiokafka do around them, are pinned by tests/unit/engine/test_drift.py.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import ConsumerMessage
from mode.utils.futures import notify

from streams.engine.driver.continuity import Continuity
from streams.engine.driver.lease import Lease
from streams.engine.fatal import Fatal
from streams.engine.fingerprints import fingerprint
from streams.engine.ports import LogPartition
from streams.engine.settings import FETCH_WAIT_S
from streams.engine.work.positions import Batch, Positions

_LOOK_AGAIN_S = 1.0


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Fetches nothing from a source between a revoke and the seek after the restore; the lock keeps the two apart."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _NoReadOffset()
        self._fetch_lock = asyncio.Lock()
        self._sought: dict[LogPartition, int] = {}
        self._ahead: dict[LogPartition, int] = {}
        self._continuity = Continuity()

    @property
    def positions(self) -> Positions:
        """How far each source partition is: it decides what is fetched, accepted and committed."""
        positions: Positions = self.transport.positions
        return positions

    def silent_s(self) -> float:
        """Seconds since the group last heard from us."""
        thread: BatchThread = self._thread
        return thread.lease.silent_s()

    def _new_consumer_thread(self) -> "BatchThread":
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    # --- the group changes ---------------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """Let the running batches finish, end long work early, and commit."""
        self.positions.pause()
        await self.transport.interrupt()
        await super().on_partitions_revoked(revoked)
        self.positions.forget_finished()

    def resume_partitions(self, tps: Iterable[Any]) -> None:
        """Resume, but fetch no source before the seek that follows."""
        tps = set(tps)
        if any(not self._is_changelog_tp(tp) for tp in tps):
            self.positions.pause()
        super().resume_partitions(tps)

    async def perform_seek(self) -> None:
        """Go to the committed offsets; everything fetched before is stale."""
        async with self._fetch_lock:
            await super().perform_seek()
            self.positions.seeked(self._sought, done=self._ahead)

    async def seek_to_committed(self) -> Mapping[Any, int]:
        """Seek, also where aiokafka stays in place: at partitions without a committed offset."""
        offsets = dict(await super().seek_to_committed())
        sources = {tp: offset for tp, offset in offsets.items() if not self._is_changelog_tp(tp)}
        if sources:
            earliest = await self.earliest_offsets(*sources)
            ends = await self.highwaters(*sources)
            try:
                start = {tp: self.transport.start(tp, sources[tp], earliest[tp], ends[tp]) for tp in sources}
            except Fatal as error:
                self.transport.die(error)
            await self.seek_wait({tp: offset for tp, offset in start.items() if offset != sources[tp]})
            self._sought = start
            # Where the state has more than the group, that is committed, though there is nothing left to do.
            known = (tp for tp in start if self.transport.engine.position(tp) is not None)
            self._ahead = {tp: start[tp] for tp in known if start[tp] > (sources[tp] or 0)}
            # Faust commits nothing below what it takes for committed; the state may have gone back.
            offsets.update({tp: min(offset, start[tp]) for tp, offset in sources.items() if offset})
            self._continuity.begin({tp: last for tp in start if (last := self.transport.engine.last_read(tp))})
        else:
            self._sought = {}
        return offsets

    def resume_flow(self) -> None:
        """Fetch again, if the seek has been made."""
        super().resume_flow()
        self.positions.resume(empty=not self.assignment())

    # --- fetching --------------------------------------------------------------------------------------------------

    async def _getmany(self, active_partitions: set[Any] | None, timeout: float) -> dict[Any, Any]:  # noqa: ASYNC109, ARG002 - as upstream calls it
        active = active_partitions or set()
        free = {tp for tp in active if self._is_changelog_tp(tp) or self.positions.may_fetch(tp)}
        if not free:  # an empty set would mean "all" to aiokafka
            await asyncio.sleep(0.005)
            return {}
        async with self._fetch_lock:
            wait_s = 0.1 if len(free) == len(active) else 0.02
            fetched = await super()._getmany(active_partitions=free, timeout=wait_s)
            if not await self._continues([tp for tp, records in fetched.items() if records]):
                return {}
            return {tp: self._batched(tp, records) for tp, records in fetched.items() if records}

    async def _continues(self, fetched: Iterable[Any]) -> bool:
        """Check the last records before taking what came by another connection; return False if it is stale now."""
        connections = {tp: self._thread.connection(tp) for tp in self._sought}
        doubtful = self._continuity.doubtful(connections)
        if doubtful.keys().isdisjoint(fetched):
            return True
        while True:
            try:
                await self.transport.engine.verify(doubtful)
            except Fatal as error:
                self.transport.die(error)
            except (KafkaError, OSError):
                if self.positions.paused:
                    return False
                await asyncio.sleep(_LOOK_AGAIN_S)
            else:
                self._continuity.looked(connections)
                return True

    def _batched(self, tp: Any, records: list[Any]) -> list[Any]:
        if self._is_changelog_tp(tp):
            return records
        try:
            batch = self.positions.fetch(tp, records)
        except Fatal as error:
            self.transport.die(error)
            raise
        self._continuity.took(tp, fingerprint(records[-1]))
        return [batch]

    def _to_message(self, tp: Any, record: Any) -> ConsumerMessage:
        if not isinstance(record, Batch):
            return super()._to_message(tp, record)
        last = record.records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000,
            0,
            (),
            None,
            record,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[Any, ConsumerMessage]]:  # noqa: ASYNC109
        """Hand out what was fetched; while the flow is stopped, drop it.

        Upstream seeks instead: in the middle of a revoke, which forgets what the running batches finish. The seek
        after the rebalance reads what was dropped.
        """
        records, active = await self._wait_next_records(timeout)
        for tp, record in self.scheduler.iterate(records or {}):
            if self.should_stop or not self.flow_active:
                return
            if isinstance(record, Batch) and (self.positions.paused or not self.positions.is_current(record)):
                return
            if active is None or tp in active or tp in self._buffered_partitions:
                self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
                yield tp, self._to_message(tp, record)

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Do nothing: Faust would ask for partitions that are gone, and end the process; the watchdog decides."""

    # --- acknowledging and committing ------------------------------------------------------------------------------

    def ack(self, message: ConsumerMessage) -> bool:
        """Take a batch as done; the positions say what that lets the commit move to."""
        if not isinstance(message.value, Batch):
            return bool(super().ack(message))
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        self.positions.finish(message.tp, message.value)
        notify(self._waiting_for_ack)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterable[Any]:
        return [tp for tp in self.positions.committable() if topics is None or tp in topics or tp[0] in topics]

    def _new_offset(self, tp: Any) -> int:
        return self.positions.to_commit(tp)

    async def _commit(self, offsets: Mapping[Any, int]) -> bool:
        done = await super()._commit(offsets)
        if done:
            self.positions.committed(offsets)
        return bool(done)

    # --- the end ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Do nothing: Faust closes the client when a rebalance begins while it stops, and the commit never returns."""

    def stop_flow(self) -> None:
        """Stop handing out batches; when the app stops, long work ends now and the rest within the time to stop."""
        super().stop_flow()
        if self.app.should_stop:
            self.transport.interrupt_soon()
            timer = threading.Timer(self.transport.stop_timeout_s, self.transport.die, ["stopping took too long"])
            timer.daemon = True
            timer.start()


class BatchThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Fetches and sends heartbeats in a thread of its own, and measures how long the group has not heard from us."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lease = Lease()

    async def on_start(self) -> None:
        """Start, and listen to what the group answers."""
        await super().on_start()
        self.lease.listen(self._consumer._coordinator)  # noqa: SLF001 - nothing public tells of heartbeats

    def connection(self, partition: tuple[str, int]) -> object:
        """Return the connection by which records of this partition come now, None if there is none."""
        client = self._consumer._client  # noqa: SLF001 - nothing public tells of connections
        leader = client.cluster.leader_for_partition(TopicPartition(*partition))
        return client._conns.get((leader, ConnectionGroup.DEFAULT))  # noqa: SLF001

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust fixes 1500 ms, and an idle partition parks the one fetch per broker for that long.
        consumer._fetch_max_wait_ms = int(FETCH_WAIT_S * 1000)  # noqa: SLF001
        return consumer


class _NoReadOffset(dict[Any, Any]):
    """No read offset for any partition: below one, Faust drops records, and above it, it invents gaps."""

    def __getitem__(self, tp: Any) -> None:
        return None
