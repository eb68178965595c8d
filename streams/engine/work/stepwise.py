"""Runs a `StepwiseJob`: one record after another, in steps; given up at once when the partitions go."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from models import reasons
from streams.engine.fatal import where
from streams.engine.job import RESERVED, Changes, Output, Record, Step, StepwiseJob
from streams.engine.log import checkpoint, quarantine
from streams.engine.log.releases import handed, marked
from streams.engine.log.source_header import Sequencer
from streams.engine.log.writer import Writer
from streams.engine.ports import LocalState
from streams.engine.settings import EngineSettings
from streams.engine.work.assignment import Assignment, until_ended
from streams.engine.work.attempts import Attempt, Attempts
from streams.engine.work.counts import count_written
from streams.engine.work.pause import Pause
from streams.engine.work.plan import Plan, Refusal, check, refusal_of


class Stepwise:
    """Writes a step when the next one comes: the record's last step carries the position of the source."""

    def __init__(
        self,
        job: StepwiseJob,
        *,
        state: LocalState,
        writer: Writer,
        settings: EngineSettings,
        attempts: Attempts,
        pause: Pause,
    ) -> None:
        self._job = job
        self._attempts = attempts
        self._pause = pause
        self._state = state
        self._writer = writer
        self._settings = settings

    async def process(self, assignment: Assignment, partition: int, records: Sequence[Record]) -> None:
        """Work on the records that are not done yet, or raise `Interrupted`."""
        topic = records[0].topic
        done = checkpoint.position(self._state.get_many(partition, [checkpoint.position_key(topic)])[0])
        for record in records:
            if record.offset >= done:
                tails = assignment.tails[partition]
                async with self._attempts.at_records(partition, [record], tails, self._job.quarantine) as attempt:
                    await self._process(assignment, partition, record, attempt)
                    attempt.written = True

    async def _process(self, assignment: Assignment, partition: int, record: Record, attempt: Attempt) -> None:
        places = assignment.tails[partition].of(record.topic)
        sequencer = Sequencer(record.topic, partition, places, self._settings.generation)
        context = PendingContext(self._state, partition, partial(self._writer.worked, partition))
        unwritten, refusals = Step(), list[Refusal]()
        async with aclosing(until_ended(self._steps(record, context, attempt), assignment)) as steps:
            async for step in steps:
                if isinstance(step, Refusal):
                    told, refusal = self._told(step)
                    refusals.append(refusal)
                    refused = quarantine.quarantined(refusal.record, step.reason, topic=self._job.quarantine)
                    unwritten = Step([*told, quarantine.fitting(refused, self._settings.record_bytes_max)])
                else:
                    await self._write(partition, record, unwritten, sequencer)
                    unwritten = step
                context.pending = unwritten.changes
        await self._pause.before_write(partition, record.topic, 1, refusals)
        moved = {**checkpoint.done_up_to(record.topic, record), **attempt.changes}
        await self._write(partition, record, unwritten._replace(changes={**unwritten.changes, **moved}), sequencer)
        self._writer.moved(record.topic, partition)
        count_written(self._settings.stage, 1, Plan(poison=refusals), quarantine=self._job.quarantine)

    async def _steps(
        self, record: Record, context: "PendingContext", attempt: Attempt
    ) -> AsyncGenerator[Step | Refusal, None]:
        """Yield the job's steps; what it raises becomes the last one, unless it is not the record's fault."""
        source: Record | None = record
        try:
            source = handed(record, self._settings.decisions, reads_decisions=self._job.reads_decisions)
            if source is None:
                return
            if attempt.refused:
                yield Refusal(source, reasons.TOO_COSTLY)
                return
            async with aclosing(self._job.process(source, context)) as steps:
                async for made in steps:
                    step = made if source is record else made._replace(outputs=marked(made.outputs, source))
                    _check_step(self._job, step, self._settings.record_bytes_max)
                    yield step
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one record must not stop its neighbours
            yield refusal_of(source or record, error, reasons.UNPROCESSABLE)

    def _told(self, refusal: Refusal) -> tuple[list[Output], Refusal]:
        """Return what the job says of a refused record; if it raises, only that is added to the refusal."""
        try:
            outputs = marked(self._job.refused(refusal.record, refusal.reason), refusal.record)
            check(self._job, outputs, {}, self._settings.record_bytes_max)
        except Exception as error:  # noqa: BLE001 - the record goes to quarantine, whatever else can be said of it
            return [], replace(refusal, error=refusal.error or where(error))
        return outputs, refusal

    async def _write(self, partition: int, record: Record, step: Step, sequencer: Sequencer) -> None:
        plan = Plan()
        plan.add(step.outputs, record.offset, sequencer)
        await self._writer.write(partition, plan.outputs, step.changes, atomic=step.atomic)
        count_written(self._settings.stage, 0, plan, quarantine=self._job.quarantine)


class PendingContext:
    """The state, with the changes of the step that is not written yet on top."""

    def __init__(self, state: LocalState, partition: int, moved: Callable[[], None] = lambda: None) -> None:
        self.pending: Changes = {}
        self.moved = moved
        self._state = state
        self._partition = partition

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of `keys`, in order."""
        values = self._state.get_many(self._partition, keys) if keys else []
        return [self.pending.get(key, value) for key, value in zip(keys, values, strict=True)]

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys that start with `prefix`, in order, with their values."""
        pending = dict(sorted((key, value) for key, value in self.pending.items() if key.startswith(prefix)))
        for key, value in self._state.scan(self._partition, prefix):
            for earlier in [mine for mine in pending if mine < key]:
                yield from _present(earlier, pending.pop(earlier))
            yield from _present(key, pending.pop(key, value))
        for key, last in pending.items():
            yield from _present(key, last)


def _present(key: bytes, value: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    if value is not None:
        yield key, value


def _check_step(job: StepwiseJob, step: Step, bytes_max: int) -> None:
    check(job, step.outputs, step.changes if step.atomic else {}, bytes_max)
    for key, value in step.changes.items():
        if key.startswith(RESERVED):
            raise ValueError("keys that begin with a zero byte are the engine's")
        check(job, (), {key: value}, bytes_max)
