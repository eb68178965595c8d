"""Stops a stage whose new version breaks on what it reads, before it has drained its topics into quarantine.

For `poison_watch_after_version_s` after another version began to work on a partition, what it refuses because of
exceptions that nobody foresaw is counted (`poison.limit`). Too many, and nothing more is read until an operator has
decided, or another version runs. What the sender made wrong has a reason that was foreseen, and never counts.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

from models import reasons
from streams.engine import events
from streams.engine.log.writer import Writer
from streams.engine.poison import notes
from streams.engine.poison.limit import Limit, Window
from streams.engine.poison.notes import Note
from streams.engine.ports import LocalState, Logs
from streams.engine.settings import EngineSettings
from streams.engine.work.assignment import Assignment, Interrupted
from streams.engine.work.plan import Refusal

_SAY_AGAIN_S = 60.0  # while an operator has not decided
_OUR_MAKING = (reasons.UNREADABLE, reasons.UNPROCESSABLE)


class Paused(Interrupted):
    """What was about to be written would pass the limit: it is worked on again once the stage goes on."""


class Pause:
    """Whether the stage may write what it made of records. `lanes`: who writes in a partition holds its lock."""

    def __init__(
        self,
        *,
        state: LocalState,
        writer: Writer,
        logs: Logs,
        settings: EngineSettings,
        lanes: Mapping[int, asyncio.Lock],
        end: Callable[[BaseException | str], NoReturn],
    ) -> None:
        self._state = state
        self._writer = writer
        self._logs = logs
        self._settings = settings
        self._lanes = lanes
        self._end = end
        self._limit = Limit(settings.poison_share_max, settings.poison_records_min, settings.poison_window_s)
        self._window = Window(self._limit)
        self._notes: dict[int, Note] = {}
        self._watched_until: dict[int, float] = {}  # as `time.time` counts
        self._assignment: Assignment | None = None
        self._changed = asyncio.Event()
        self._polling: asyncio.Task[None] | None = None
        self.needs_decision = ""

    def begin(self) -> None:
        """Forget what was counted in an earlier assignment, and watch nothing yet."""
        self._notes, self._watched_until, self._window = {}, {}, Window(self._limit)
        self._let_go()

    def assigned(self, assignment: Assignment) -> None:
        """Watch what is new to this version, and stay paused if that was decided before a restart."""
        if not (self._settings.version and self._settings.decisions):
            return
        self._assignment = assignment
        now_s = time.time()
        for partition in assignment.tails:
            [value] = self._state.get_many(partition, [notes.KEY])
            note = notes.note_of(value, self._settings.version, int(now_s * 1000))
            if note.encode() != value:
                self._writer.begin_with(partition, {notes.KEY: note.encode()})
            self._put(partition, note)
        if any(note.paused_from is not None for note in self._notes.values()):
            self._stop()

    async def open(self, assignment: Assignment) -> None:
        """Return once the stage may work; raise `Interrupted` if the assignment ends before."""
        while self.needs_decision:
            if assignment.ended.is_set():
                raise Interrupted
            await self._changed.wait()

    async def before_write(self, partition: int, topic: str, records: int, refusals: Sequence[Refusal]) -> None:
        """Count what is about to be written of this source; raise `Paused`, with the pause noted, if it is too much."""
        if not self._watched_until or topic == self._settings.decisions:
            return
        if time.time() > self._watched_until.get(partition, 0.0):
            self._watched_until.pop(partition, None)
            return
        broken = sum(bool(each.error) and each.reason in _OUR_MAKING for each in refusals)
        if not self.needs_decision and not self._window.passes(records, broken, at_s=time.monotonic()):
            return
        if not self.needs_decision:
            decisions = (self._settings.decisions, partition)
            note = replace(
                self._notes[partition],
                paused_from=(await self._logs.ends([decisions]))[decisions],
                records=self._window.records + records,
                broken=self._window.broken + broken,
                written=self._window.broken,
            )
            await self._writer.write(partition, {}, {notes.KEY: note.encode()})
            self._put(partition, note)
            self._stop()
        raise Paused

    def _put(self, partition: int, note: Note) -> None:
        self._notes[partition] = note
        until_s = note.since_ms / 1000 + self._settings.poison_watch_after_version_s
        if not note.resumed and time.time() < until_s:
            self._watched_until[partition] = until_s
        else:
            self._watched_until.pop(partition, None)

    def _stop(self) -> None:
        note = next(note for note in self._notes.values() if note.paused_from is not None)
        stage = self._settings.stage
        self.needs_decision = (
            f"{stage} is paused: {note.broken} of {note.records} records failed in ways that nobody foresaw, soon "
            f"after a change of version; {note.written} of them are in quarantine. Nothing more is read. Operator "
            f"action: run another version, or `metriport-streams worker --resume {stage}` goes on with this one, and "
            "what fails goes to quarantine."
        )
        self._changed.clear()
        events.PAUSED.labels(stage).set(1)
        assert self._assignment is not None, "partitions are assigned first"
        self._polling = asyncio.create_task(self._poll(self._assignment))

    def _let_go(self) -> None:
        self.needs_decision = ""
        events.PAUSED.labels(self._settings.stage).set(0)
        self._changed.set()

    async def _poll(self, assignment: Assignment) -> None:
        said_at = float("-inf")
        try:
            while not assignment.ended.is_set():
                if await self._is_resumed():
                    await self._resume(assignment)
                    return
                if time.monotonic() - said_at > _SAY_AGAIN_S:
                    said_at = time.monotonic()
                    events.STAGE_PAUSED(stage=self._settings.stage, sentence=self.needs_decision)
                await asyncio.wait({wait := asyncio.ensure_future(assignment.ended.wait())}, timeout=self._poll_s)
                wait.cancel()
        except Exception as error:  # noqa: BLE001 - a border of the process
            self._end(error)
        finally:
            self._changed.set()

    @property
    def _poll_s(self) -> float:
        return self._settings.decision_poll_s

    async def _is_resumed(self) -> bool:
        topic = self._settings.decisions
        starts = {
            (topic, number): note.paused_from for number, note in self._notes.items() if note.paused_from is not None
        }
        spans = await self._logs.spans(starts)
        ranges = {at: (max(start, spans[at].first), spans[at].end) for at, start in starts.items()}
        ranges = {at: (start, end) for at, (start, end) in ranges.items() if start < end}
        if ranges:
            async for _, records in self._logs.records(ranges):
                if notes.resumes(records):
                    return True
        return False

    async def _resume(self, assignment: Assignment) -> None:
        """Note it in every partition: what an operator lets go on is not paused again."""
        for partition, before in list(self._notes.items()):
            async with self._lanes[partition]:
                if not assignment.owns(partition):
                    return
                note = replace(before, paused_from=None, resumed=True)
                await self._writer.write(partition, {}, {notes.KEY: note.encode()})
                self._put(partition, note)
        events.STAGE_RESUMED(stage=self._settings.stage)
        self._let_go()
