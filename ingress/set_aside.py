"""Spools that were damaged: set aside as they are, read for what is whole in them, kept until a person deals with them.

A set-aside spool is up to four files of one name: the spool's file, its journal, SQLite's index of that, and a note of
what has been done with it. The ingress never opens them again with SQLite, which would change them.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec

from ingress.records import Delivery
from ingress.spool_remains import Remains
from models.errors import MetriportStreamsError

BATCH = 1024
BATCH_BYTES_MAX = 8 * 2**20
_JOURNAL, _INDEX, _MARK, _NOTE, _LOCK = "-wal", "-shm", "-open", ".note", ".lock"
_STEM, _SUFFIX = "spool.damaged-", ".sqlite"


class Note(msgspec.Struct, frozen=True):
    """What has become of a set-aside spool. `moved` deliveries, in their order, are in Kafka or in the new spool."""

    drained_to: int = 0
    moved: int = 0
    read_to_end: bool = False
    missing: int = 0
    dealt_with: bool = False


class InUse(MetriportStreamsError):
    """Somebody else is reading this set-aside spool right now."""


class SetAside:
    """One set-aside spool, by the path of its file, which may itself be missing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.path.name

    @property
    def files(self) -> list[Path]:
        """Return the files that hold what was written."""
        return [path for path in (self.path, self._beside(_JOURNAL)) if path.exists()]

    @property
    def bytes(self) -> int:
        """How many bytes it holds on the disk."""
        return sum(path.stat().st_size for path in self.files)

    @property
    def note(self) -> Note:
        """What has been done with it."""
        try:
            return msgspec.json.decode(self._beside(_NOTE).read_bytes(), type=Note)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return Note()

    @property
    def has_note(self) -> bool:
        """Whether it was set aside to the end."""
        return self._beside(_NOTE).exists()

    def write(self, note: Note) -> None:
        """Keep the note, whole or not at all."""
        half = self._beside(f"{_NOTE}.half")
        half.touch(0o600)
        with half.open("wb") as file:
            file.write(msgspec.json.encode(note))
            file.flush()
            os.fsync(file.fileno())
        half.rename(self._beside(_NOTE))
        _sync(self.path.parent)

    def change(self, **facts: object) -> None:
        """Note these facts beside the others."""
        self.write(msgspec.structs.replace(self.note, **facts))

    def remains(self) -> Remains:
        """Open what is left of it, to be used with `with`."""
        return Remains(self.path, self._beside(_JOURNAL))

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Have it alone for a while, so that nobody else moves the same deliveries; raise `InUse` if that cannot be."""
        descriptor = os.open(self._beside(_LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InUse from None
            yield
        finally:
            os.close(descriptor)

    def move(self, take: Callable[[Sequence[Delivery]], None]) -> int:
        """Hand on every delivery that is whole and was not moved before, in order; return how many.

        What `take` has returned from is noted as moved: after an interruption the next call goes on there.
        """
        moved = 0
        with self.alone(), self.remains() as remains:
            note = self.note
            found = (row.delivery for row in remains.rows(behind=note.drained_to))
            for batch in _batches(islice(found, note.moved, None)):
                take(batch)
                moved += len(batch)
                self.change(moved=note.moved + moved)
            self.change(read_to_end=True, missing=remains.missing)
        return moved

    def take_over(self, path: Path) -> None:
        """Rename the files of the spool at `path` to those of this one."""
        # The journal first: with its file gone, SQLite would take it for one that nobody needs.
        for suffix in (_INDEX, _MARK, _JOURNAL, ""):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{suffix}").rename(self._beside(suffix))

    def drop(self) -> None:
        """Remove all of it."""
        with self.alone():
            for suffix in (_INDEX, _MARK, _JOURNAL, "", _NOTE, f"{_NOTE}.half", _LOCK):
                self._beside(suffix).unlink(missing_ok=True)

    def _beside(self, suffix: str) -> Path:
        return Path(f"{self.path}{suffix}")


def every(folder: Path) -> list[SetAside]:
    """Return the set-aside spools in `folder`, oldest first."""
    names = {path.name.removesuffix(_JOURNAL) for path in folder.glob(f"{_STEM}*{_SUFFIX}*") if _is_of_a_spool(path)}
    return [SetAside(folder / name) for name in sorted(names)]


def waiting(folder: Path) -> list[SetAside]:
    """Return those that no person has dealt with yet."""
    return [one for one in every(folder) if not one.note.dealt_with]


def unfinished(folder: Path) -> SetAside | None:
    """Return the spool whose journal was set aside and whose file was not: the process ended between the two."""
    return next((one for one in every(folder) if not one.path.exists() and not one.has_note), None)


def set_aside(path: Path, *, drained_to: int = 0) -> SetAside:
    """Rename the spool at `path` and its journal, unchanged."""
    moved = unfinished(path.parent) or SetAside(_free_name(path.parent))
    moved.take_over(path)
    moved.write(Note(drained_to=drained_to))
    return moved


def _is_of_a_spool(path: Path) -> bool:
    return path.name.endswith((_SUFFIX, f"{_SUFFIX}{_JOURNAL}"))


def _free_name(folder: Path) -> Path:
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    taken = {one.name for one in every(folder)}
    names = (f"{_STEM}{stamp}{number}{_SUFFIX}" for number in ("", *(f"-{number:03d}" for number in range(1, 1000))))
    return folder / next(name for name in names if name not in taken)


def _batches(deliveries: Iterator[Delivery]) -> Iterator[list[Delivery]]:
    batch: list[Delivery] = []
    size = 0
    for delivery in deliveries:
        batch.append(delivery)
        size += len(delivery.body)
        if len(batch) >= BATCH or size >= BATCH_BYTES_MAX:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
