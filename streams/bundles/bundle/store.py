"""Bring a fetched bundle from the blob store to this machine's disk, piece by piece, and remove it afterwards."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore

from models.errors import Poison
from streams.bundles.bundle.file import BundleFile
from streams.bundles.bundle.progress import Progress
from streams.engine.job import Unavailable

_PIECE_BYTES = 2**18  # each piece that comes is progress, from a slow store too
_REQUEST_BYTES = 2**25  # a request may take minutes, and the largest bundle many requests
_IN_A_FILE = "Not a directory"  # of a folder; the library has no class for it
_KEY_BYTES_MAX = 1024  # of S3; no key of ours comes near it
_NAME_BYTES_MAX = 255  # of a file


class Blobs:
    """The blob store, read only. It takes its time: not for the event loop."""

    def __init__(self, store: ObjectStore, *, bytes_max: int, directory: Path | None = None) -> None:
        self._store = store
        self._bytes_max = bytes_max
        self._directory = directory

    @contextmanager
    def on_disk(self, key: str, progress: Progress) -> Iterator[BundleFile]:
        """Yield the bytes of `key` in a file without a name: however this process ends, nothing is left on the disk.

        Raise `Poison` if there is no such blob or it is too large, `Unavailable` if the store cannot be read,
        `Unwanted` once `progress` is given up.
        """
        with tempfile.TemporaryFile(dir=self._directory) as file:
            for piece in self._pieces(key):
                file.write(piece)
                progress.moved()
            file.flush()
            yield BundleFile(file.fileno(), progress)

    def _pieces(self, key: str) -> Iterator[bytes]:
        if not _could_be_ours(key):
            raise Poison("no_blob")
        try:
            found = obstore.get(self._store, key)
            size = found.meta["size"]
            if size > self._bytes_max:
                raise Poison("too_large")
            if size <= _REQUEST_BYTES:
                yield from found.stream(min_chunk_size=_PIECE_BYTES)
                return
            for start in range(0, size, _REQUEST_BYTES):
                part = obstore.get(self._store, key, options={"range": (start, min(size, start + _REQUEST_BYTES))})
                yield from part.stream(min_chunk_size=_PIECE_BYTES)
        except (NotFoundError, FileNotFoundError, ValueError):
            raise Poison("no_blob") from None
        except BaseError as error:
            if _IN_A_FILE in str(error):
                raise Poison("no_blob") from None
            raise Unavailable(f"the blob store cannot be read: {type(error).__name__}") from None


def _could_be_ours(key: str) -> bool:
    """Whether a store could hold this key at all; asked for any other, some say that they cannot be read."""
    parts = key.encode().split(b"/")
    return len(key.encode()) <= _KEY_BYTES_MAX and all(0 < len(part) <= _NAME_BYTES_MAX for part in parts)
