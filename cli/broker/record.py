"""What a data folder knows about its broker: a locked file says that it lives, a small JSON file says how to reach it.

The lock is held by the broker's own process, so it is free the moment that process is gone, however it went.
A record without a lock is what a killed run leaves behind.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

LOCK = "lock"
RECORD = "broker.json"


@dataclass(frozen=True, kw_only=True)
class Record:
    """How to reach the broker that a data folder belongs to."""

    pid: int
    launcher_pid: int
    tied: bool
    bootstrap_servers: str


def take_lock(data_dir: Path) -> int | None:
    """Return a descriptor that holds the folder's lock, to be inherited by the broker; None if a broker has it."""
    descriptor = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_locked(data_dir: Path) -> bool:
    """Say whether a broker lives on this data folder."""
    try:
        descriptor = os.open(data_dir / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who ask do not take each other for a broker.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def write(data_dir: Path, record: Record) -> None:
    """Keep the record, whole or not at all."""
    half = data_dir / f"{RECORD}.{os.getpid()}"
    half.write_text(json.dumps(asdict(record)))
    half.rename(data_dir / RECORD)


def read(data_dir: Path) -> Record | None:
    """Return the record, or None if there is none that can be read."""
    try:
        known = json.loads((data_dir / RECORD).read_text())
        return Record(**{field.name: known[field.name] for field in fields(Record)})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remove(data_dir: Path) -> None:
    """Forget the broker."""
    (data_dir / RECORD).unlink(missing_ok=True)
