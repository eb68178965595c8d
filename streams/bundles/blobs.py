"""Brings a fetched bundle from the blob store to this machine's disk, piece by piece, and removes it afterwards."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore

from streams.bundles.bundle_file import BundleFile
from streams.engine.job import Poison, Unavailable

_PIECE_BYTES = 4 * 2**20


class Blobs:
    """The blob store, read only."""

    def __init__(self, store: ObjectStore, *, bytes_max: int, directory: Path | None = None) -> None:
        self._store = store
        self._bytes_max = bytes_max
        self._directory = directory

    @asynccontextmanager
    async def on_disk(self, key: str) -> AsyncIterator[BundleFile]:
        """Yield the bytes of `key` in a file without a name: however this process ends, nothing is left on the disk.

        Raise `Poison` if there is no such blob or it is too large, `Unavailable` if the store cannot be read.
        """
        file = await asyncio.to_thread(_nameless, self._directory)
        try:
            await self._copy(key, file)
            yield BundleFile(file.fileno())
        finally:
            await asyncio.to_thread(file.close)

    async def _copy(self, key: str, file: IO[bytes]) -> None:
        try:
            found = await obstore.get_async(self._store, key)
            if found.meta["size"] > self._bytes_max:
                raise Poison("too_large")
            async for piece in found.stream(min_chunk_size=_PIECE_BYTES):
                await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(file.flush)
        except (NotFoundError, FileNotFoundError):
            raise Poison("no_blob") from None
        except BaseError as error:
            raise Unavailable(f"the blob store cannot be read: {type(error).__name__}") from None


def _nameless(directory: Path | None) -> IO[bytes]:
    return tempfile.TemporaryFile(dir=directory)
