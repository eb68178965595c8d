"""A damaged spool is never thrown away: it is set aside as it is, and what can still be read goes into a new one."""

import contextlib
import sqlite3
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from ingress.records import Delivery
from ingress.spool_file import SpoolFile

BATCH = 64


def set_aside(path: Path) -> Path:
    """Rename the spool at `path` and its journal; return the new name."""
    moved = _free_name(path)
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{moved}{suffix}")
    return moved


def salvage(damaged: Path, into: SpoolFile) -> int:
    """Copy every delivery that is still whole into a new spool, in order; return how many."""
    found = 0
    readable = _readable(damaged)
    while batch := list(islice(readable, BATCH)):
        into.add(batch)
        found += len(batch)
    return found


def _free_name(path: Path) -> Path:
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    names = (path.with_name(f"{path.stem}.damaged-{stamp}{number}{path.suffix}") for number in ("", *range(1, 1000)))
    return next(name for name in names if not name.exists())


def _readable(damaged: Path) -> Iterator[Delivery]:
    """Yield from the front up to the damage, then from behind it; whatever lies within stays in the old file."""
    with contextlib.closing(sqlite3.connect(damaged, isolation_level=None)) as sql:
        last = 0
        for row_id, delivery in _walk(sql, "SELECT id, received_at, crc, body FROM deliveries ORDER BY id"):
            last = row_id
            yield delivery
        ids = [
            row_id
            for row_id, _ in _walk(sql, "SELECT id, received_at, crc, body FROM deliveries ORDER BY id DESC")
            if row_id > last
        ]
        for row_id in reversed(ids):
            query = f"SELECT id, received_at, crc, body FROM deliveries WHERE id = {row_id:d}"  # noqa: S608 - a number
            yield from (delivery for _, delivery in _walk(sql, query))


def _walk(sql: sqlite3.Connection, query: str) -> Iterator[tuple[int, Delivery]]:
    with contextlib.suppress(sqlite3.DatabaseError):
        for row_id, received_at, crc, body in sql.execute(query):
            if isinstance(body, bytes) and zlib.crc32(body) == crc:
                yield row_id, Delivery(body, received_at)
