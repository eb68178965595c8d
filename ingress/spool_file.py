"""The spool's file: a SQLite queue whose every commit is on the disk before it returns. No threads here."""

import shutil
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingress.records import Delivery
from models.errors import Misconfigured

VERSION = 1
FILE_NAME = "spool.sqlite"

# Beside a body: its row, and the rest of the last page it takes.
ROW_BYTES = 4096 + 128
# Kept free on the disk: emptying a full spool takes a little space of its own.
RESERVE_BYTES = 1 * 2**20
# Past this the journal is folded into the file.
JOURNAL_BYTES = 4 * 2**20

_SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (id INTEGER PRIMARY KEY, received_at TEXT, crc INTEGER, body BLOB) STRICT;
CREATE TABLE IF NOT EXISTS held (id INTEGER PRIMARY KEY, received_at TEXT, crc INTEGER, body BLOB) STRICT;
"""


class SpoolFull(Exception):
    """There is no room for this delivery."""


class SpoolDamaged(Exception):
    """The file does not hold what was written."""


@dataclass(frozen=True, slots=True)
class Row:
    """One delivery in the spool; a higher id came later. An id means nothing once the file was opened anew."""

    id: int
    opened_ns: int
    delivery: Delivery


class SpoolFile:
    """An open spool. `sqlite3.Error` and `SpoolDamaged` come out as they are: whoever holds the file decides."""

    def __init__(self, path: Path, *, bytes_max: int) -> None:
        self._path = path
        self._journal = Path(f"{path}-wal")
        self._bytes_max = bytes_max
        self._opened_ns = time.monotonic_ns()
        self._sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._open()
        except BaseException:
            self._sql.close()
            raise

    def _open(self) -> None:
        # Order matters: the first three must come before anything is written or read.
        for pragma in (
            "auto_vacuum = INCREMENTAL",
            "locking_mode = EXCLUSIVE",  # no second process, and no shared memory file
            "journal_mode = WAL",
            "synchronous = FULL",  # a commit returns when its bytes are on the disk
            "wal_autocheckpoint = 0",  # `_fold` does it, where its errors are seen
            "cell_size_check = ON",
            "secure_delete = OFF",  # overwriting what was removed needs as much room again
            "cache_size = -16384",
        ):
            self._sql.execute(f"PRAGMA {pragma}").fetchall()
        version = self._pragma("user_version")
        if version not in (0, VERSION):
            raise Misconfigured(f"{self._path} was written by a newer version; drain it with that one first")
        # A journal left by a failed sync may be in memory only: folded into the file, it is synced or fails here.
        self._fold()
        self._sql.executescript(_SCHEMA)
        self._sql.execute(f"PRAGMA user_version = {VERSION}")
        # What could not be published is tried again after each start: somebody may have raised the broker's limit.
        with self._transaction():
            self._sql.execute(
                "INSERT INTO deliveries (received_at, crc, body) SELECT received_at, crc, body FROM held ORDER BY id"
            )
            self._sql.execute("DELETE FROM held")

    def close(self) -> None:
        """Close the file; what it holds stays."""
        self._sql.close()

    def count(self) -> int:
        """Return how many deliveries wait. Ids have no gaps to speak of, so this looks at both ends only."""
        query = "SELECT (SELECT MAX(id) FROM deliveries) - (SELECT MIN(id) FROM deliveries) + 1"
        return int(self._sql.execute(query).fetchone()[0] or 0)

    def bytes(self) -> int:
        """Return the bytes in use on the disk."""
        pages = self._pragma("page_count") - self._pragma("freelist_count")
        return pages * self._pragma("page_size") + self._journal_bytes()

    def room(self) -> int:
        """Return the bytes that can still be written: what the limit leaves, or the disk."""
        # What is only in the journal so far will need its place in the file.
        growth = max(0, self._pragma("page_count") * self._pragma("page_size") - self._path.stat().st_size)
        disk = shutil.disk_usage(self._path.parent).free - growth - RESERVE_BYTES
        return max(0, min(self._bytes_max - self.bytes(), disk))

    def fitting(self, deliveries: Iterable[Delivery]) -> list[bool]:
        """Tell for each of these whether there is room for it, those before it included."""
        room = self.room()
        fits: list[bool] = []
        for delivery in deliveries:
            if needed(delivery) > room and not any(fits) and self._journal_bytes():
                self._fold()
                room = self.room()
            fits.append(needed(delivery) <= room)
            room -= needed(delivery) if fits[-1] else 0
        return fits

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Write all of them, or none; they are on the disk when this returns."""
        with self._transaction():
            self._sql.executemany(
                "INSERT INTO deliveries (received_at, crc, body) VALUES (?, ?, ?)",
                ((delivery.received_at, zlib.crc32(delivery.body), delivery.body) for delivery in deliveries),
            )
        if self._journal_bytes() > JOURNAL_BYTES:
            self._fold()

    def head(self, *, count_max: int, bytes_max: int) -> list[Row]:
        """Return the oldest deliveries in order; at least one if there is any."""
        rows: list[Row] = []
        for row in self._rows("SELECT id, received_at, crc, body FROM deliveries ORDER BY id LIMIT ?", count_max):
            rows.append(row)
            bytes_max -= len(row.delivery.body)
            if bytes_max <= 0:
                break
        return rows

    def remove(self, last: Row) -> None:
        """Forget every delivery up to and including `last`, unless that was read before the file was opened."""
        if last.opened_ns != self._opened_ns:
            return
        with self._transaction():
            self._sql.execute("DELETE FROM deliveries WHERE id <= ?", (last.id,))
        self._shrink()

    def hold(self, row: Row) -> None:
        """Take one delivery out of the queue without forgetting it: it can never be published as things are."""
        if row.opened_ns != self._opened_ns:
            return
        with self._transaction():
            self._sql.execute(
                "INSERT INTO held (received_at, crc, body) SELECT received_at, crc, body FROM deliveries WHERE id = ?",
                (row.id,),
            )
            self._sql.execute("DELETE FROM deliveries WHERE id = ?", (row.id,))

    def _rows(self, query: str, *arguments: int) -> Iterator[Row]:
        for row_id, received_at, crc, body in self._sql.execute(query, arguments):
            if not isinstance(body, bytes) or zlib.crc32(body) != crc:
                raise SpoolDamaged("a delivery is not what was written")
            yield Row(row_id, self._opened_ns, Delivery(body, received_at))

    def _shrink(self) -> None:
        # Only an empty file is made smaller: with something left in it, that would be moved, and written once more.
        if not self.count():
            self._sql.executescript("PRAGMA incremental_vacuum")
            self._fold()
        elif self._journal_bytes() > JOURNAL_BYTES:
            self._fold()

    def _fold(self) -> None:
        """Write the journal into the file, sync it, and start the journal anew."""
        busy, _, _ = self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise SpoolDamaged("somebody else holds the file")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._sql.execute("COMMIT")
        except BaseException:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            raise

    def _pragma(self, name: str) -> int:
        return int(self._sql.execute(f"PRAGMA {name}").fetchone()[0])

    def _journal_bytes(self) -> int:
        try:
            return self._journal.stat().st_size
        except FileNotFoundError:
            return 0


def needed(delivery: Delivery) -> int:
    """Return the bytes that writing this may take: once in the journal, once in the file."""
    return 2 * (len(delivery.body) + ROW_BYTES)
