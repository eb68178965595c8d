"""Write a file in a local folder while its content comes; it is on the disk once it is closed."""

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from threading import Lock

from streams.links.limits import MIB

# The disk begins while the rest still comes, so that closing has little left to wait for.
WRITE_BACK_BYTES = 8 * MIB


class LocalFile:
    """A new file and its folders. A cancelled caller may leave its thread running, so every step takes the lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._alone = Lock()
        self._file: FileIO | None = None
        self._discarded = False
        self._bytes = 0
        self._bytes_handed_on = 0

    async def write(self, pieces: Iterable[bytes]) -> None:
        """Append `pieces`."""
        await asyncio.to_thread(self._write, pieces)

    async def close(self) -> None:
        """Flush and fsync: the link will have expired by the time a power cut is over, this copy must survive it."""
        await asyncio.to_thread(self._close)

    async def discard(self) -> None:
        """Remove the file; nothing is written any more."""
        await asyncio.to_thread(self._discard)

    def _write(self, pieces: Iterable[bytes]) -> None:
        with self._alone:
            if self._discarded:
                return
            file = self._open()
            for piece in pieces:
                _write_all(file, piece)
                self._bytes += len(piece)
            if self._bytes - self._bytes_handed_on >= WRITE_BACK_BYTES:
                self._hand_on(file)

    def _close(self) -> None:
        with self._alone:
            if self._discarded:
                return
            with self._open() as file:
                os.fsync(file.fileno())

    def _discard(self) -> None:
        with self._alone:
            self._discarded = True
            if self._file is not None:
                self._file.close()
                self._path.unlink(missing_ok=True)

    def _open(self) -> FileIO:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = FileIO(self._path, "x")
        return self._file

    def _hand_on(self, file: FileIO) -> None:
        """Have the system begin to write what is new: this advice does so for pages that are not written yet."""
        if hasattr(os, "posix_fadvise"):  # not on macOS
            start, length = self._bytes_handed_on, self._bytes - self._bytes_handed_on
            with suppress(OSError):  # only advice
                os.posix_fadvise(file.fileno(), start, length, os.POSIX_FADV_DONTNEED)
        self._bytes_handed_on = self._bytes


def _write_all(file: FileIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]
