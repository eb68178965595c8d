"""Brings a fetched bundle from the blob store to this machine's disk, piece by piece, and removes it afterwards."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore

from streams.engine.job import Poison, Unavailable

_PIECE_BYTES = 4 * 2**20


class Blobs:
    """The blob store, read only."""

    def __init__(self, store: ObjectStore, *, bytes_max: int, directory: Path | None = None) -> None:
        self._store = store
        self._bytes_max = bytes_max
        self._directory = directory

    @asynccontextmanager
    async def on_disk(self, key: str) -> AsyncIterator[Path]:
        """Yield a file with the bytes of `key`, which lives as long as the context does.

        Raise `Poison` if there is no such blob or it is too large, `Unavailable` if the store cannot be read.
        """
        with tempfile.TemporaryDirectory(prefix="bundle-", dir=self._directory) as folder:
            path = Path(folder, "bundle.json")
            await self._copy(key, path)
            yield path

    async def _copy(self, key: str, path: Path) -> None:
        try:
            found = await obstore.get_async(self._store, key)
            if found.meta["size"] > self._bytes_max:
                raise Poison("too_large")
            with path.open("wb") as file:
                async for piece in found.stream(min_chunk_size=_PIECE_BYTES):
                    file.write(piece)
        except (NotFoundError, FileNotFoundError):
            raise Poison("no_blob") from None
        except BaseError as error:
            raise Unavailable(f"the blob store cannot be read: {type(error).__name__}") from None
