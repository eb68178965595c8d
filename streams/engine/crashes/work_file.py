"""Notes what is in work in a small file beside the state: it outlives kill -9, and the next start reads it.

It is written and not synced, some microseconds for each piece of work. A power cut may lose it, and no work causes one.
"""

import faulthandler
import os
import time
from pathlib import Path
from typing import NamedTuple

from streams.engine.crashes import memory_kills
from streams.engine.crashes.suspicion import Begun, Ending

# The file is slots of text, padded with newlines. The first: `running <kills> <control group>`, or `ended`. The others:
# `<partition> <blamed, 0 or 1> in <topic> <first> <last>` for records, `... at <hash of the key>` for listed work.
SLOT_BYTES = 512  # a topic's name has at most 249
_RUNNING, _ENDED = "running", "ended"


class InWork(NamedTuple):
    """One piece of work of this process, and when it was begun, as `time.monotonic` counts."""

    partition: int
    work: str
    begun_at: float


class WorkFile:
    """One slot for each piece of work, and a first one for the process. Without `path`, nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self.in_work: dict[int, InWork] = {}
        self._path = path
        self._file: int | None = None
        self._crash: int | None = None
        self._free: list[int] = []
        self._slots = 1

    def open(self) -> Ending:
        """Open the file; return what the process before this one left in it.

        Not before the state is open: then that process is surely gone.
        """
        if self._path is None:
            return Ending(explained=True, by_itself=False, is_known=True, begun=())
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        left = self._path.read_bytes() if self._path.exists() else b""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        kills = memory_kills.read()
        self._put(0, f"{_RUNNING} {kills.number} {kills.group}")
        return _ending(left, kills, crashed=self._crashed())

    def begin(self, partition: int, work: str) -> int:
        """Note that this work begins; return its slot."""
        if self._free:
            slot = self._free.pop()
        else:
            slot, self._slots = self._slots, self._slots + 1
        self.in_work[slot] = InWork(partition, work, time.monotonic())
        self._put(slot, f"{partition} 0 {work}")
        return slot

    def end(self, slot: int) -> None:
        """Note that this work is over, however it went."""
        del self.in_work[slot]
        self._put(slot, "")
        self._free.append(slot)

    def blame(self, slot: int) -> None:
        """Note that this work is why the process ends."""
        work = self.in_work[slot]
        self._put(slot, f"{work.partition} 1 {work.work}")

    def close(self) -> None:
        """Note that this process ends by its own decision: what is in work, and not blamed, has no part in it."""
        self._put(0, _ENDED)

    def tell_crashes(self) -> None:
        """Let the interpreter write down a crash of its own: lines of code, no values."""
        assert self._path is not None
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._crash = os.open(self._path.with_suffix(".crash"), flags, 0o600)
        faulthandler.enable(self._crash)

    def _crashed(self) -> bool:
        """Return whether the process before this one crashed, and forget it."""
        if self._crash is None:
            return False
        crashed = os.fstat(self._crash).st_size > 0
        os.ftruncate(self._crash, 0)
        return crashed

    def _put(self, slot: int, text: str) -> None:
        if self._file is not None:
            os.pwrite(self._file, text.encode().ljust(SLOT_BYTES, b"\n"), slot * SLOT_BYTES)


def _ending(left: bytes, kills: memory_kills.Kills, *, crashed: bool) -> Ending:
    """Return what an earlier process's file says; slots that cannot be read are skipped."""
    first, *slots = [
        left[at : at + SLOT_BYTES].decode("utf-8", "replace").strip() for at in range(0, len(left), SLOT_BYTES)
    ] or [_ENDED]
    state, _, before = first.partition(" ")
    begun = tuple(filter(None, map(_begun, slots)))
    return Ending(state != _RUNNING, crashed or kills.since(before), is_known=bool(left), begun=begun)


def _begun(text: str) -> Begun | None:
    parts = text.split(" ", 2)
    if len(parts) != 3 or not parts[0].isdecimal():  # noqa: PLR2004 - partition, blamed, work
        return None
    return Begun(int(parts[0]), parts[2], blamed=parts[1] == "1")
