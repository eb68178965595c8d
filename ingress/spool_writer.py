"""The thread that owns the spool's file: it commits what waits together, and answers for every error of the disk."""

import contextlib
import queue
import sqlite3
import threading
from asyncio import Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from ingress import set_aside
from ingress.records import Delivery
from ingress.set_aside import InUse
from ingress.spool_file import SpoolFile, SpoolFull, needed
from ingress.spool_inspection import SpoolDamaged, is_damage
from models import telemetry
from models.errors import MetriportStreamsError, Misconfigured

SpoolState = Literal["ok", "full", "damaged", "off"]

COMMIT_BYTES_MAX = 16 * 2**20
# How often an idle spool looks whether there is room, and whether a failed disk is back.
TICK_S = 0.5
# Room for less than this is no room: the spool says so before it has to refuse.
ROOM_BYTES_MIN = 128 * 2**10


class SpoolFailed(MetriportStreamsError):
    """The disk did not do what it was asked; what was to be written is not kept."""


@dataclass(frozen=True, slots=True)
class Write:
    """A delivery to be kept."""

    delivery: Delivery
    done: "Future[None]"


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the file, answered in turn."""

    ask: Callable[[SpoolFile], Any]
    done: "Future[Any]"


@dataclass(frozen=True, slots=True)
class Report:
    """What the spool is like now, and which jobs ended how."""

    state: SpoolState
    count: int
    bytes: int
    set_aside: int = 0
    written: int = 0
    ended: list[tuple["Future[Any]", Any]] = field(default_factory=list)


class SpoolWriter:
    """Takes jobs from any thread; `report` is called in the writer's own."""

    def __init__(self, path: Path, *, bytes_max: int, batch_max: int, report: Callable[[Report], None]) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._batch_max = batch_max
        self._report = report
        self._jobs: queue.SimpleQueue[Write | Ask | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="spool", daemon=True)
        self._file: SpoolFile | None = None
        self._count = 0
        self._refused_bytes = 0
        self._waiting = 0
        self._look_at = 0.0

    def start(self) -> None:
        """Open the file; the first report says how that went."""
        self._thread.start()

    def submit(self, job: Write | Ask | None) -> None:
        """Queue a job; None ends the thread after the jobs before it."""
        self._jobs.put(job)

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _work(self) -> None:
        self._tell([])
        while True:
            try:
                job = self._jobs.get(timeout=TICK_S)
            except queue.Empty:
                self._tell([])
                continue
            if isinstance(job, Write):
                job = self._commit(job)
            if isinstance(job, Ask):
                self._tell([(job.done, self._try(job.ask))])
            elif job is None:
                break
        if self._file is not None:
            self._file.close()

    def _commit(self, first: Write) -> Ask | Write | None:
        """Write `first` and those that wait behind it; return the job that ended the row, itself if none did."""
        writes, size = [first], len(first.delivery.body)
        next_job: Ask | Write | None = first
        while len(writes) < self._batch_max and size < COMMIT_BYTES_MAX:
            try:
                next_job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if not isinstance(next_job, Write):
                break
            writes.append(next_job)
            size += len(next_job.delivery.body)
        self._write(writes)
        return next_job

    def _write(self, writes: list[Write]) -> None:
        # Whoever gave up waiting has told the sender so.
        wanted = [write for write in writes if not write.done.cancelled()]
        outcome = self._try(lambda file: self._add(file, [write.delivery for write in wanted]))
        if isinstance(outcome, Exception):
            outcomes: list[Exception | None] = [outcome] * len(wanted)
        else:
            outcomes = [None if fits else SpoolFull() for fits in outcome]
        self._tell([(write.done, ended) for write, ended in zip(wanted, outcomes, strict=True)], written=len(writes))

    def _add(self, file: SpoolFile, deliveries: list[Delivery]) -> list[bool]:
        fits = file.fitting(deliveries)
        file.add([delivery for delivery, fitting in zip(deliveries, fits, strict=True) if fitting])
        refused = [needed(delivery) for delivery, fitting in zip(deliveries, fits, strict=True) if not fitting]
        self._refused_bytes = min(refused, default=0)
        return fits

    def _try(self, ask: Callable[[SpoolFile], Any]) -> Any:  # noqa: ANN401 - what was asked, or the error
        """Return the answer, or the error a caller may see; the file is put right before the next question."""
        try:
            return ask(self._opened())
        except Misconfigured as error:
            return error
        except SpoolDamaged as error:
            self._replace(str(error))
            return SpoolFailed("damaged")
        except (sqlite3.Error, OSError) as error:
            return self._failed(error)

    def _failed(self, error: sqlite3.Error | OSError) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return SpoolFull()
        if isinstance(error, sqlite3.Error) and is_damage(error):
            self._replace("the file cannot be read")
        else:
            # After a failed sync nobody knows what the disk holds: never sync the same file again, open it anew.
            self._drop()
        telemetry.SPOOL_FAILED(error=getattr(error, "sqlite_errorname", None) or type(error).__name__)
        return SpoolFailed("the disk failed")

    def _opened(self) -> SpoolFile:
        if self._file is None:
            if self._path.exists() and set_aside.unfinished(self._path.parent):
                raise SpoolDamaged("its journal was set aside")
            self._file = SpoolFile(self._path, bytes_max=self._bytes_max)
            if self._file.recovered:
                telemetry.SPOOL_RECOVERED(self._file.recovered)
            self._salvage(self._file)
        return self._file

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(sqlite3.Error):
                file.close()

    def _replace(self, reason: str) -> None:
        """Set the damaged file aside and go on with a new one, which gets all that can still be read."""
        try:
            # Before the file is closed, which would fold the journal into it and remove it.
            moved = set_aside.set_aside(self._path, drained_to=self._file.drained_to if self._file else 0)
        except OSError as error:
            telemetry.SPOOL_FAILED(error=type(error).__name__)
            return
        finally:
            self._drop()
        telemetry.SPOOL_DAMAGED(reason=reason, moved_to=moved.name)
        self._look_at = 0.0
        # Reading takes its time: until then, deliveries go to Kafka if they can.
        self._report(self._as_damaged([]))
        try:
            self._opened()
        except (SpoolDamaged, sqlite3.Error, OSError) as error:
            telemetry.SPOOL_FAILED(error=type(error).__name__)
            self._drop()

    def _salvage(self, file: SpoolFile) -> None:
        """Put into `file` what is whole in those set aside; what does not fit stays there."""

        def take(deliveries: Sequence[Delivery]) -> None:
            if not all(file.fitting(deliveries)):
                raise SpoolFull
            file.add(deliveries)

        for one in set_aside.every(self._path.parent):
            if not one.note.read_to_end:
                before = one.note.moved
                with contextlib.suppress(SpoolFull, InUse):
                    one.move(take)
                note = one.note
                moved = note.moved - before
                telemetry.SPOOL_SALVAGED(moved, deliveries=moved, missing=note.missing, complete=note.read_to_end)

    def _tell(self, ended: list[tuple["Future[Any]", Any]], *, written: int = 0) -> None:
        seen = self._try(lambda file: (file.count(), file.bytes(), file.room()))
        if isinstance(seen, Exception):
            self._report(self._as_damaged(ended, written=written))
            return
        self._count, size, room = seen
        state: SpoolState = "full" if room < max(ROOM_BYTES_MIN, self._refused_bytes) else "ok"
        self._report(Report(state, self._count, size, self._set_aside(), written, ended))

    def _as_damaged(self, ended: list[tuple["Future[Any]", Any]], *, written: int = 0) -> Report:
        return Report("damaged", self._count, 0, self._set_aside(), written, ended)

    def _set_aside(self) -> int:
        if monotonic() >= self._look_at:
            self._waiting = len(set_aside.waiting(self._path.parent))
            self._look_at = monotonic() + TICK_S
        return self._waiting
