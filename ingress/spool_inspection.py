"""A look at the spool's files before anything is written, so that damage is met while its evidence is whole."""

import contextlib
import sqlite3
from pathlib import Path

from ingress import spool_journal
from ingress.spool_journal import PAGE_BYTES, Journal
from ingress.spool_remains import Found, Remains
from ingress.spool_row import opened
from models.errors import MetriportStreamsError, Misconfigured

# Any two of them differ in two bits at least: one that has flipped is not taken for a version. 0: just made.
VERSIONS = (0, 1, 6)
VERSION = VERSIONS[-1]

SCHEMA = {
    name: f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, received_at TEXT, crc INTEGER, body BLOB) STRICT"
    for name in ("deliveries", "held")
}

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_UNREADABLE = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS)


class SpoolDamaged(MetriportStreamsError):
    """The file does not hold what was written."""


def journal_of(path: Path) -> Path:
    """Return where SQLite keeps the journal of the file at `path`."""
    return Path(f"{path}-wal")


def mark_of(path: Path) -> Path:
    """Return the file that is there while the spool at `path` is open, and its journal with it."""
    return Path(f"{path}-open")


def inspect(path: Path) -> list[Found]:
    """Return what the end of the journal holds that was not synced, and that SQLite is about to forget.

    Raise `SpoolDamaged`, or `Misconfigured` if the spool is of a newer version. Neither file is changed.
    """
    if mark_of(path).exists() and path.exists() and not journal_of(path).exists():
        raise SpoolDamaged("the journal is gone")
    journal = spool_journal.read(_bytes(journal_of(path)))
    if journal.state == "damaged":
        raise SpoolDamaged("a frame of the journal is not what was written")
    size = path.stat().st_size if path.exists() else 0
    if not size:
        if journal.frames:
            raise SpoolDamaged("there is a journal and no file")
        return []
    _look_at_size(path, size, journal)
    unsynced = _unsynced(path, journal)
    _look_inside(path, unsynced)
    return unsynced


def _bytes(path: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    return b""


def _look_at_size(path: Path, size: int, journal: Journal) -> None:
    """Raise `SpoolDamaged` if a page is neither in the file nor in the journal."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header.startswith(_MAGIC) or int.from_bytes(header[16:18]) != PAGE_BYTES:
        raise SpoolDamaged("the file's header is not what was written")
    wanted = next((frame.pages for frame in reversed(journal.certain) if frame.pages), int.from_bytes(header[28:32]))
    there = size // PAGE_BYTES
    folded_in = {frame.page for frame in journal.certain}
    if wanted - there > len(folded_in) or any(page not in folded_in for page in range(there + 1, wanted + 1)):
        raise SpoolDamaged("the file is shorter than it was")


def _unsynced(path: Path, journal: Journal) -> list[Found]:
    if journal.state == "whole":
        return []
    with Remains(path, journal_of(path)) as remains:
        return list(remains.rows(from_frame=journal.doubtful))


def _look_inside(path: Path, unsynced: list[Found]) -> None:
    # Read only: closing a connection that may write folds the journal in and removes it.
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as sql:
            sql.text_factory = text
            sql.execute("PRAGMA cell_size_check = ON")
            if sql.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise SpoolDamaged("the file is not put together as it was")
            version = sql.execute("PRAGMA user_version").fetchone()[0]
            if not any((version ^ known).bit_count() <= 1 for known in VERSIONS):
                raise Misconfigured(f"{path} was written by a newer version; drain it with that one first")
            found = dict(sql.execute("SELECT name, sql FROM sqlite_schema").fetchall())
            if version not in VERSIONS or found not in ({}, SCHEMA):
                raise SpoolDamaged("the file does not say of itself what it did")
            for row in unsynced if found else ():
                # What is only whole there must not be forgotten.
                query = "SELECT received_at, crc, body FROM deliveries WHERE id = ?"
                if any(opened(*kept) is None for kept in sql.execute(query, (row.id,))):
                    raise SpoolDamaged("a delivery is not what was written")
    except sqlite3.DatabaseError as error:
        # What is asked is always the same: if it makes no sense, the file has become another.
        if is_damage(error) or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
            raise SpoolDamaged("the file cannot be read") from None
        raise
    finally:
        # Made by a connection that reads only, and left behind; it holds nothing.
        Path(f"{path}-shm").unlink(missing_ok=True)


def text(raw: bytes) -> str:
    """Return what is in a column of text; bytes that changed are no reason to fail, the seal will not fit."""
    return raw.decode("utf-8", "replace")


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether this error says that the file is not what it was, or cannot be read any more."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or code in _UNREADABLE
