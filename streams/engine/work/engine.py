"""Does one piece of work after another per partition number, and writes each in the one safe order.

The driver hands batches to `feed`, and calls `assigned` and `revoked` when partitions come and go. Kafka and the local
copy of the state are what `ports` says.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NoReturn

from streams.engine import events
from streams.engine.crashes.work_file import WorkFile
from streams.engine.fatal import Fatal
from streams.engine.fingerprints import Fingerprint
from streams.engine.job import BatchedJob, Changes, Job, Output, StepwiseJob
from streams.engine.log import checkpoint, partition_counts, unordered
from streams.engine.log.writer import Writer
from streams.engine.losses import losses
from streams.engine.ports import LocalState, LogPartition, Logs, Sender
from streams.engine.settings import EngineSettings
from streams.engine.work.assignment import Assignment, Interrupted
from streams.engine.work.attempts import Attempts
from streams.engine.work.batched import Batched
from streams.engine.work.pause import Pause, Paused
from streams.engine.work.plan import check
from streams.engine.work.positions import Batch, size
from streams.engine.work.stepwise import Stepwise
from streams.engine.work.takeover import Takeover


class Engine:
    """Runs one job over the partitions that are ours."""

    def __init__(
        self,
        job: Job,
        *,
        sender: Sender,
        state: LocalState,
        logs: Logs,
        settings: EngineSettings,
        end: Callable[[BaseException | str], NoReturn],
        work_file: WorkFile | None = None,
    ) -> None:
        self._job = job
        self._state = state
        self._logs = logs
        self._settings = settings
        self._end = end
        self._writer = Writer(sender, state, settings.changelog)
        self._attempts = Attempts(
            work_file or WorkFile(None),
            state,
            self._writer,
            stage=settings.stage,
            stuck_timeout_s=settings.stuck_timeout_s,
        )
        # First come first served, one per partition number: the source topics share its state and its outputs. A turn
        # keeps its place while the stage is paused; the lane is for who writes.
        self._places: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._lanes: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._pause = Pause(state=state, writer=self._writer, logs=logs, settings=settings, lanes=self._lanes, end=end)
        self._work = self._work_of(job)
        self._assignment = Assignment({})
        self._assignment.ended.set()
        self._takeover = Takeover(
            state=state, writer=self._writer, sender=sender, logs=logs, topics=self.topics, settings=settings
        )
        self.unread = 0  # records in partitions of the sources beyond TOPIC_PARTITIONS, which are not read
        self._turns: set[asyncio.Task[None]] = set()

    # --- partitions come and go ------------------------------------------------------------------------------------

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Begin an assignment, once the state is restored: read the outputs' tails, then let the job begin."""
        begun_at = time.monotonic()
        await self.check_partition_counts()
        self._writer.begin()
        self._pause.begin()
        found = await self._takeover.examined(partitions, unread=self.unread)
        await self._attempts.assigned(partitions)
        self._assignment = Assignment(found.tails)
        await self._finish_begun(self._assignment, {source: span.end for source, span in found.spans.items()})
        self._pause.assigned(self._assignment)
        seconds = round(time.monotonic() - begun_at, 3)
        events.TAILS_READ(stage=self._settings.stage, partitions=len(partitions), seconds=seconds)
        await self._job.assigned(partitions)

    async def check_partition_counts(self) -> None:
        """Raise `Fatal` if a topic lacks partitions of ours; count the records in partitions beyond ours."""
        topics = (*self._settings.sources, *self._job.outputs, self._job.quarantine, self._settings.changelog)
        counts = await self._logs.counts(topics)
        partition_counts.check(counts, self._settings.partitions)
        surplus = partition_counts.beyond(counts, self._settings.sources, self._settings.partitions)
        unread = sum((await self._logs.ends(surplus)).values()) if surplus else 0
        if unread > self.unread:
            events.UNREAD_BEYOND(unread - self.unread, stage=self._settings.stage, first=self._settings.partitions)
        self.unread = unread

    async def revoked(self) -> None:
        """End the assignment, and return when nothing that was begun in it is still being written."""
        if self._assignment.ended.is_set():
            return
        self._assignment.ended.set()
        await self._job.revoked()
        for partition in self._assignment.tails:
            async with self._places[partition], self._lanes[partition]:
                pass

    # --- work ------------------------------------------------------------------------------------------------------

    def feed(self, partition: int, batch: Batch, done: Callable[[], None]) -> None:
        """Queue a batch; call `done` when it is written, or given up (`batch.abandoned`) when the assignment ends."""
        self._begin_turn(partition, batch, done)

    async def complete(self, partition: int, outputs: Sequence[Output], changes: Changes) -> bool:
        """Write work that was finished out of order; return False if the partition is not ours any more.

        Every output carries a `ce_id` derived from its input, by which a repeat after a crash is recognised, and the
        `x-source` of the record it came from. Raises `Poison` if something is too large for a record.
        """
        unordered.demand(outputs, most=self._settings.tail_records)
        check(self._job, outputs, changes, self._settings.record_bytes_max)
        assignment = self._assignment
        async with self._lanes[partition]:
            if not assignment.owns(partition):
                return False
            try:
                rows = unordered.unwritten(outputs, assignment.tails[partition], generation=self._settings.generation)
                unsuspected = self._attempts.off_list(partition, changes)
                await self._writer.write(partition, rows, {**changes, **unsuspected})
                self._attempts.forget(partition, unsuspected)
            except Exception as error:  # noqa: BLE001 - half written: only a restart finds out how far it went
                self._end(error)
        return True

    def written_at(self, partition: int) -> float:
        """Return when something of this partition number was last written, as `time.monotonic` counts."""
        return max(self._writer.written_at.get(partition, 0.0), self._attempts.waits_since(partition))

    def attempt(self, partition: int, name: bytes) -> AbstractAsyncContextManager[None]:
        """Work within this on what the state lists under the key `name`; see `job.Context`."""
        return self._attempts.at_listed(partition, name)

    def is_too_costly(self, partition: int, name: bytes) -> bool:
        """Return whether what the state lists under `name` has ended the process too often to be tried again."""
        return self._attempts.is_too_costly(partition, name)

    def blame(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Note whose work ends the process: what runs on a `loop` that does not turn, else what does not move."""
        if loop is not None:
            self._attempts.blame_running(loop)
        else:
            self._attempts.blame_stuck(self.written_at)

    @property
    def needs_decision(self) -> str:
        """What an operator must decide before anything goes on, as a sentence; empty if nothing."""
        return self._takeover.needs_decision or self._pause.needs_decision

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that the job writes to."""
        return (*self._job.outputs, self._job.quarantine)

    def position(self, source: LogPartition) -> int | None:
        """Return the next offset of a source partition, None if the state says none."""
        return checkpoint.known_position(self._state, source[1], source[0])

    def last_read(self, source: LogPartition) -> Fingerprint | None:
        """Return the fingerprint of the last record that was read of a source partition, if there is one."""
        fingerprints = checkpoint.fingerprints(self._state, source[1], source[0])
        return fingerprints[-1] if fingerprints else None

    async def verify(self, fingerprints: Mapping[LogPartition, Fingerprint]) -> None:
        """Raise `Fatal` if a log holds another record where one was read: it has lost its end and grown again."""
        for topic, partition in sorted(await losses.unlike(fingerprints, self._logs)):
            raise Fatal(
                f"{topic}/{partition}: another record than the one that was read stands at "
                f"{fingerprints[topic, partition].offset}: the topic lost its last records and has grown since. The "
                "next start says how to go on."
            )

    def moved_at(self, source: LogPartition) -> float:
        """Return when the position of this source partition last moved, as `time.monotonic` counts."""
        return self._writer.moved_at.get(source, 0.0)

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the state's keys that start with `prefix`, in order, with their values."""
        return self._state.scan(partition, prefix)

    def _work_of(self, job: Job) -> Batched | Stepwise:
        parts: dict[str, Any] = {
            "state": self._state,
            "writer": self._writer,
            "settings": self._settings,
            "attempts": self._attempts,
            "pause": self._pause,
        }
        if isinstance(job, StepwiseJob):
            return Stepwise(job, **parts)
        assert isinstance(job, BatchedJob), "a job is one or the other"
        return Batched(job, **parts)

    def _begin_turn(self, partition: int, batch: Batch, done: Callable[[], None]) -> asyncio.Task[None]:
        turn = asyncio.create_task(self._turn(self._assignment, partition, batch, done))
        self._turns.add(turn)
        turn.add_done_callback(self._turns.discard)
        return turn

    async def _turn(self, assignment: Assignment, partition: int, batch: Batch, done: Callable[[], None]) -> None:
        try:
            async with self._places[partition]:
                try:
                    while not await self._worked(assignment, partition, batch):
                        pass
                except Interrupted:
                    batch.abandoned = True
                    topic = batch.records[0].topic
                    events.INTERRUPTED(stage=self._settings.stage, topic=topic, partition=partition)
            done()
        except Exception as error:  # noqa: BLE001 - a border of the process
            self._end(error)

    async def _worked(self, assignment: Assignment, partition: int, batch: Batch) -> bool:
        """Work on a batch once the stage may; return False if that paused it: then it is to be worked on again."""
        await self._pause.open(assignment)
        async with self._lanes[partition]:
            begun_at = time.monotonic()
            try:
                await self._work.process(assignment, partition, batch.records)
            except Paused:
                return False
        events.BATCH_DONE(time.monotonic() - begun_at, stage=self._settings.stage)
        return True

    async def _finish_begun(self, assignment: Assignment, ends: Mapping[LogPartition, int]) -> None:
        """Finish what a predecessor had begun, before anything else.

        Its outputs are written, in part, and will not be written again. If another source's records came in between,
        the outputs would no longer say what the state says.
        """
        if len(self._settings.sources) == 1:
            return
        ranges = {
            (topic, partition): (start, min(end, ends[topic, partition]))
            for partition, tails in assignment.tails.items()
            for topic, start, end in checkpoint.begun(self._state, partition, tails)
            if topic in self._settings.sources
        }
        async for (_, partition), records in self._logs.records(ranges):
            if assignment.ended.is_set():
                return
            batch = Batch(records, records[0].offset, records[-1].offset + 1, 0, size(records), time.monotonic())
            # Waited for, never cancelled: what is in the sender's hands may still be written.
            await asyncio.wait({self._begin_turn(partition, batch, lambda: None)})
