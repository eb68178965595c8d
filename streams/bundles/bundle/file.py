"""Read a fetched bundle from this machine's disk: once to scan it, once to publish from it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.bundles.bundle.progress import Progress
from streams.bundles.bundle.split import Block, split

_AHEAD_BYTES = 2**14  # read-ahead: several resources per read, little waste when only a few are needed


class BundleFile:
    """Reads an open file; only what is asked for is in memory. Without a file it is a bundle without resources.

    Every read counts as progress, and raises `Unwanted` once that is given up.
    """

    def __init__(self, descriptor: int | None = None, progress: Progress | None = None) -> None:
        self._descriptor = descriptor
        self.progress = progress or Progress()
        self._ahead = b""
        self._ahead_at = 0

    def _read(self, at: int, count: int) -> bytes:
        assert self._descriptor is not None
        self.progress.moved()
        return os.pread(self._descriptor, count, at)

    def blocks(self, *, block_bytes: int, entry_bytes_max: int) -> Iterator[Block]:
        """Yield the resources from the start."""
        at = 0
        if self._descriptor is None:
            return iter(())

        def read(count: int) -> bytes:
            nonlocal at
            data = self._read(at, count)
            at += len(data)
            return data

        return split(read, block_bytes=block_bytes, entry_bytes_max=entry_bytes_max)

    def size(self) -> int:
        """Return how many bytes there are."""
        return 0 if self._descriptor is None else os.fstat(self._descriptor).st_size

    def bytes(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end`."""
        at = start - self._ahead_at
        if at < 0 or end - self._ahead_at > len(self._ahead):
            self._ahead, self._ahead_at, at = self._read(start, max(_AHEAD_BYTES, end - start)), start, 0
        return self._ahead[at : at + end - start]


@contextmanager
def bundle_file(path: Path) -> Iterator[BundleFile]:
    """Open the bundle at `path`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield BundleFile(descriptor)
    finally:
        os.close(descriptor)
