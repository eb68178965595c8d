"""The spool's file: a SQLite queue whose every commit is on the disk before it returns. No threads here."""

import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingress.records import Delivery
from ingress.spool_inspection import SCHEMA, VERSION, SpoolDamaged, inspect, journal_of, mark_of, text
from ingress.spool_journal import PAGE_BYTES
from ingress.spool_remains import Found
from ingress.spool_row import opened, seal
from models.errors import MetriportStreamsError

FILE_NAME = "spool.sqlite"

# Beside a body: its row, and the rest of the last page it takes.
ROW_BYTES = 4096 + 128
# Kept free on the disk: emptying a full spool takes a little space of its own.
RESERVE_BYTES = 1 * 2**20
# Past this the journal is folded into the file.
JOURNAL_BYTES = 4 * 2**20

# An empty file's pages that are not free: the schema's, one for each table, and one in so many that is SQLite's map.
_PAGES_OF_NOTHING = 1 + len(SCHEMA)
_MAP_EVERY = PAGE_BYTES // 5 + 1


class SpoolFull(MetriportStreamsError):
    """There is no room for this delivery."""


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
        self._journal = journal_of(path)
        self._bytes_max = bytes_max
        self._opened_ns = time.monotonic_ns()
        self._next: int | None = None
        self._rolled_back = self._held = False
        self.drained_to = 0
        self.recovered = 0
        # Everything that could tell of damage, before SQLite changes anything.
        unsynced = inspect(path)
        self._sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._sql.text_factory = text
        try:
            self._open(unsynced)
        except BaseException:
            self.close()
            raise

    def _open(self, unsynced: list[Found]) -> None:
        # Order matters: the first four must come before anything is written or read.
        for pragma in (
            f"page_size = {PAGE_BYTES}",
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
        # A journal left by a failed sync may be in memory only: folded into the file, it is synced or fails here.
        self._fold()
        mark_of(self._path).touch(0o600)
        for sentence in SCHEMA.values():
            self._sql.execute(sentence.replace("TABLE", "TABLE IF NOT EXISTS", 1))
        self._sql.execute(f"PRAGMA user_version = {VERSION}")
        self._begin_at_first()
        self._recover(unsynced)
        # What could not be published is tried again after each start: somebody may have raised the broker's limit.
        with self._transaction():
            self._sql.execute(
                "INSERT INTO deliveries (received_at, crc, body) SELECT received_at, crc, body FROM held ORDER BY id"
            )
            self._sql.execute("DELETE FROM held")

    def _begin_at_first(self) -> None:
        first = self._sql.execute("SELECT MIN(id) FROM deliveries").fetchone()[0]
        self.drained_to, self._next = (first or 1) - 1, first

    def _recover(self, unsynced: list[Found]) -> None:
        """Add what was written and not synced when the process ended: nobody was told that it is kept, yet it is."""
        last = self._sql.execute("SELECT MAX(id) FROM deliveries").fetchone()[0] or 0
        found = [row.delivery for row in unsynced if row.id > last]
        if found:
            self.add(found)
        self.recovered = len(found)

    def close(self) -> None:
        """Close the file; what it holds stays."""
        # SQLite removes the journal: from here on, that it is not there is no wonder.
        mark_of(self._path).unlink(missing_ok=True)
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
                ((delivery.received_at, seal(delivery), delivery.body) for delivery in deliveries),
            )
        # What a transaction that failed has left in the journal could later be taken for damage.
        if self._journal_bytes() > JOURNAL_BYTES or self._rolled_back:
            self._fold()

    def head(self, *, count_max: int, bytes_max: int) -> list[Row]:
        """Return the oldest deliveries in order; at least one if there is any."""
        rows: list[Row] = []
        for row in self._rows("SELECT id, received_at, crc, body FROM deliveries ORDER BY id LIMIT ?", count_max):
            # They were written in a row and go from the front: one that is not where it should be has vanished.
            if self._next not in (None, row.id - len(rows)):
                raise SpoolDamaged("a delivery is gone")
            self._next = row.id - len(rows)
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
        self._go_on_behind(last.id)
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
        self._held = True
        self._go_on_behind(row.id)

    def _go_on_behind(self, last: int) -> None:
        # The ids of those that are held are not above those that were drained.
        self.drained_to = 0 if self._held else last
        self._next = last + 1 if self.count() else None

    def _rows(self, query: str, *arguments: int) -> Iterator[Row]:
        for row_id, received_at, sealed, body in self._sql.execute(query, arguments):
            delivery = opened(received_at, sealed, body)
            if delivery is None:
                raise SpoolDamaged("a delivery is not what was written")
            yield Row(row_id, self._opened_ns, delivery)

    def _shrink(self) -> None:
        # Only an empty file is made smaller: with something left in it, that would be moved, and written once more.
        if not self.count():
            self._must_be_empty()
            self._sql.executescript("PRAGMA incremental_vacuum")
            self._fold()
        elif self._journal_bytes() > JOURNAL_BYTES:
            self._fold()

    def _must_be_empty(self) -> None:
        """Raise `SpoolDamaged` if no delivery is left and yet not all pages are free: what they hold would be lost."""
        pages = self._pragma("page_count")
        maps = -(-(pages - 1) // _MAP_EVERY)
        if not self._held and pages - self._pragma("freelist_count") > maps + _PAGES_OF_NOTHING:
            raise SpoolDamaged("there are pages of nobody")

    def _fold(self) -> None:
        """Write the journal into the file, sync it, and start the journal anew."""
        busy, _, _ = self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise SpoolDamaged("somebody else holds the file")
        self._rolled_back = False

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._sql.execute("COMMIT")
        except BaseException:
            self._rolled_back = True
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
