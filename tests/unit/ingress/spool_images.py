"""Spools as a process that was killed leaves them, and what of each delivery is left after damage."""

import random
import shutil
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ingress.records import Delivery
from ingress.spool_file import FILE_NAME, SpoolFile

JOURNAL_NAME = f"{FILE_NAME}-wal"
PAGE_BYTES = 4096
FRAME_BYTES = PAGE_BYTES + 24
# As much of a row as is in its own page, when it does not fit there, is at most this.
LOCAL_BYTES_MAX = 4061
# Before a record's text: sizes, id and types.
BEFORE_BYTES = 12


@dataclass(frozen=True)
class Image:
    """A spool's two files, and the deliveries that were acknowledged and not yet drained."""

    file: bytes
    journal: bytes
    wanted: tuple[Delivery, ...]
    written: frozenset[Delivery]

    def put(self, folder: Path) -> Path:
        """Write the files into `folder`; return the path of the first."""
        folder.mkdir(exist_ok=True)
        (folder / JOURNAL_NAME).write_bytes(self.journal)
        (folder / FILE_NAME).write_bytes(self.file)
        return folder / FILE_NAME


def deliveries(count: int, *, seed: int, large: bool = False) -> list[Delivery]:
    """Return deliveries of random bytes, one in eight of them larger than a page if so wanted."""
    chance = random.Random(seed)
    sizes = (
        chance.randrange(4_000, 30_000) if large and number % 8 == 5 else chance.randrange(1, 2_500)
        for number in range(count)
    )
    return [
        Delivery(
            chance.randbytes(size), f"2026-01-02T03:{number // 60 % 60:02d}:{number % 60:02d}.{number % 1000:03d}Z"
        )
        for number, size in enumerate(sizes)
    ]


def batches(found: list[Delivery], *, seed: int) -> Iterator[list[Delivery]]:
    chance, start = random.Random(seed), 0
    while start < len(found):
        end = start + chance.randrange(1, 12)
        yield found[start:end]
        start = end


def image(
    folder: Path, *, seed: int, folded: int = 0, journaled: int = 0, drained: int = 0, large: bool = False
) -> Image:
    """Return a spool with so many deliveries in its file and in its journal, of which the first were drained."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    written = deliveries(folded + journaled, seed=seed, large=large)
    spool = SpoolFile(folder / FILE_NAME, bytes_max=2**30)
    for batch in batches(written[:folded], seed=seed):
        spool.add(batch)
    spool._fold()
    for batch in batches(written[folded:], seed=seed):
        spool.add(batch)
    if drained:
        spool.remove(spool.head(count_max=drained, bytes_max=2**30)[-1])
    found = _read(folder, tuple(written[drained:]), written)
    spool.close()
    return found


def first_version(folder: Path, *, seed: int, count: int) -> Image:
    """Return a spool as the first version wrote it: a CRC of the body instead of the seal."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    written = deliveries(count, seed=seed, large=True)
    sql = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    for pragma in (
        "auto_vacuum = INCREMENTAL",
        "locking_mode = EXCLUSIVE",
        "journal_mode = WAL",
        "wal_autocheckpoint = 0",
    ):
        sql.execute(f"PRAGMA {pragma}").fetchall()
    for table in ("deliveries", "held"):
        columns = "id INTEGER PRIMARY KEY, received_at TEXT, crc INTEGER, body BLOB"
        sql.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns}) STRICT")
    sql.execute("PRAGMA user_version = 1")
    for batch in batches(written, seed=seed):
        sql.execute("BEGIN")
        rows = ((one.received_at, zlib.crc32(one.body), one.body) for one in batch)
        sql.executemany("INSERT INTO deliveries (received_at, crc, body) VALUES (?, ?, ?)", rows)
        sql.execute("COMMIT")
    found = _read(folder, tuple(written), written)
    sql.close()
    return found


def _read(folder: Path, wanted: tuple[Delivery, ...], written: Iterable[Delivery]) -> Image:
    return Image((folder / FILE_NAME).read_bytes(), (folder / JOURNAL_NAME).read_bytes(), wanted, frozenset(written))


def intact(before: Image, file: bytes, journal: bytes) -> list[Delivery]:
    """Return the deliveries that must come out of the damaged `file` and `journal`.

    Found without a look at the format: where their bytes lay, all is as it was. Of those larger than a page, the whole
    of every page that held some of it must be, in the same file.
    """
    return [
        one
        for one in before.wanted
        if any(_is_intact(one, *pair) for pair in ((before.file, file), (before.journal, journal)))
    ]


def _is_intact(delivery: Delivery, before: bytes, after: bytes) -> bool:
    if len(delivery.body) + 60 <= LOCAL_BYTES_MAX:
        return any(
            after[start - BEFORE_BYTES : end] == before[start - BEFORE_BYTES : end]
            for start, end in _places(before, delivery.received_at.encode(), delivery.body)
        )
    pieces = [delivery.body[:400], *(delivery.body[at : at + 16] for at in range(len(delivery.body) - 16, 400, -2000))]
    return all(any(_page_is_intact(at, before, after) for at in _all(before, piece)) for piece in pieces)


def _page_is_intact(at: int, before: bytes, after: bytes) -> bool:
    in_frames = before[:4] in (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
    start = 32 + (at - 32) // FRAME_BYTES * FRAME_BYTES if in_frames else at // PAGE_BYTES * PAGE_BYTES
    end = start + (FRAME_BYTES if in_frames else PAGE_BYTES)
    return after[start:end] == before[start:end]


def _places(data: bytes, received_at: bytes, body: bytes) -> Iterator[tuple[int, int]]:
    for at in _all(data, body):
        # Between the text and the body is the seal, of eight bytes at most.
        start = data.rfind(received_at, at - len(received_at) - 8, at)
        if start >= 0:
            yield start, at + len(body)


def _all(data: bytes, piece: bytes) -> Iterator[int]:
    at = data.find(piece)
    while at >= 0:
        yield at
        at = data.find(piece, at + 1)
