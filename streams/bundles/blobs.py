"""Brings a fetched bundle from the blob store to this machine's disk, piece by piece, and removes it afterwards."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore

from streams.bundles.bundle_file import BundleFile
from streams.engine.job import Poison, Unavailable

_PIECE_BYTES = 4 * 2**20


class Blobs:
    """The blob store, read only. It takes its time: not for the event loop."""

    def __init__(self, store: ObjectStore, *, bytes_max: int, directory: Path | None = None) -> None:
        self._store = store
        self._bytes_max = bytes_max
        self._directory = directory

    @contextmanager
    def on_disk(self, key: str, unwanted: Event) -> Iterator[BundleFile]:
        """Yield the bytes of `key` in a file without a name: however this process ends, nothing is left on the disk.

        Raise `Poison` if there is no such blob or it is too large, `Unavailable` if the store cannot be read. Once it
        is `unwanted`, reading ends with `Unwanted`.
        """
        with tempfile.TemporaryFile(dir=self._directory) as file:
            opened = BundleFile(file.fileno(), unwanted)
            for piece in self._pieces(key):
                file.write(piece)
                opened.check()
            file.flush()
            yield opened

    def _pieces(self, key: str) -> Iterator[bytes]:
        try:
            found = obstore.get(self._store, key)
            if found.meta["size"] > self._bytes_max:
                raise Poison("too_large")
            yield from found.stream(min_chunk_size=_PIECE_BYTES)
        except (NotFoundError, FileNotFoundError):
            raise Poison("no_blob") from None
        except BaseError as error:
            raise Unavailable(f"the blob store cannot be read: {type(error).__name__}") from None
