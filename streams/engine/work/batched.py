"""Runs a `BatchedJob`: plans a whole batch and writes it as one step, or as halves where the changes are too many."""

from collections.abc import Sequence
from typing import Any

from models import reasons
from streams.engine.job import BatchedJob, Record
from streams.engine.log import checkpoint
from streams.engine.log.output_tails import Tails
from streams.engine.log.source_header import Sequencer
from streams.engine.log.writer import Writer
from streams.engine.ports import LocalState
from streams.engine.settings import EngineSettings
from streams.engine.work.assignment import Assignment
from streams.engine.work.attempts import Attempts
from streams.engine.work.counts import count_written
from streams.engine.work.pause import Pause
from streams.engine.work.plan import Plan, plan_batch


class Batched:
    """Writes many records in one step; a batch that was begun is finished."""

    def __init__(
        self,
        job: BatchedJob[Any],
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
        """Write what these records become, except what is written already."""
        topic = records[0].topic
        done = checkpoint.position(self._state.get_many(partition, [checkpoint.position_key(topic)])[0])
        records = [record for record in records if record.offset >= done]
        waiting = self._attempts.parts(partition, records)[::-1] if records else []
        while waiting:
            part = waiting.pop()
            async with self._attempts.at_records(
                partition, part, assignment.tails[partition], self._job.quarantine
            ) as attempt:
                plan = self._plan(partition, topic, part, assignment.tails[partition], refused=attempt.refused)
                # The changes of a step exist together or not at all, and a record batch has a size.
                if len(part) > 1 and not self._writer.one_batch(plan.changes):
                    half = len(part) // 2
                    waiting += [part[half:], part[:half]]
                    continue
                await self._pause.before_write(partition, topic, len(part), plan.poison)
                await self._writer.write(partition, plan.outputs, {**plan.changes, **attempt.changes})
                attempt.written = True
            self._writer.moved(topic, partition)
            for note in plan.notes:
                note()
            count_written(self._settings.stage, len(part), plan, quarantine=self._job.quarantine)
            self._job.written(partition, plan.changes)

    def _plan(self, partition: int, topic: str, records: Sequence[Record], tails: Tails, *, refused: bool) -> Plan:
        plan = plan_batch(
            self._job,
            records,
            read=lambda keys: self._state.get_many(partition, keys),
            sequencer=Sequencer(topic, partition, tails.of(topic), self._settings.generation),
            decisions=self._settings.decisions,
            record_bytes_max=self._settings.record_bytes_max,
            refuse=reasons.TOO_COSTLY if refused else None,
        )
        plan.changes |= checkpoint.done_up_to(topic, records[-1])
        return plan
