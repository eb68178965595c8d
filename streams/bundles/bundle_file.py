"""A fetched bundle on this machine's disk, from where it is read twice: once to survey it, once to publish from it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.bundles.split import Block, split


class BundleFile:
    """Reads an open file; only what is asked for is in memory. Without a file it is a bundle without resources."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor

    def blocks(self, *, block_bytes: int, entry_bytes_max: int) -> Iterator[Block]:
        """Yield the resources from the start."""
        descriptor, at = self._descriptor, 0
        if descriptor is None:
            return iter(())

        def read(count: int) -> bytes:
            nonlocal at
            data = os.pread(descriptor, count, at)
            at += len(data)
            return data

        return split(read, block_bytes=block_bytes, entry_bytes_max=entry_bytes_max)

    def size(self) -> int:
        """Return how many bytes there are."""
        return 0 if self._descriptor is None else os.fstat(self._descriptor).st_size

    def bytes(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end`."""
        assert self._descriptor is not None
        return os.pread(self._descriptor, end - start, start)


@contextmanager
def bundle_file(path: Path) -> Iterator[BundleFile]:
    """Open the bundle at `path`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield BundleFile(descriptor)
    finally:
        os.close(descriptor)
