"""Keep what was fetched in the blob store, under a key that is its hash.

A body is written to a staging key while it flows, and moves to its own key only when it is whole; there it is never
written again. The same content twice is the same blob. Staging keys lie in one folder per partition, so that the
partition's next owner can remove what a killed worker left behind.
"""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore

from streams.links.fetching.local_file import LocalFile
from streams.links.fetching.retry import StoreUnavailable
from streams.links.limits import MIB

Shelf = Literal["sha256", "rejected/sha256"]

PART_BYTES = 8 * MIB  # object stores take parts of at least 5 MiB
PARTS_IN_FLIGHT_MAX = 2


class Blobs:
    """Keeps bodies, each once."""

    def __init__(self, store: ObjectStore, *, staging: str = "staging") -> None:
        """`staging` is the folder for what is not whole yet, of this stage alone."""
        self._store = store
        self._staging = staging
        prefix = store.prefix if isinstance(store, LocalStore) else None
        self._folder = Path(prefix) if prefix is not None else None

    @asynccontextmanager
    async def writing(self, partition: int) -> AsyncIterator["Writing"]:
        """Begin a blob; what is not kept by the end is gone."""
        writing = Writing(self._store, self._folder, f"{self._staging}/{partition}/{uuid4().hex}")
        try:
            yield writing
        finally:
            await writing.discard()

    async def sweep(self, partition: int) -> None:
        """Remove what an earlier owner of `partition` left in staging. Only for its one owner, before it writes."""
        staging = f"{self._staging}/{partition}/"
        with _unavailable():
            if self._folder is not None:
                await asyncio.to_thread(shutil.rmtree, self._folder / staging, ignore_errors=True)
                return
            async for page in obstore.list(self._store, staging):
                await obstore.delete_async(self._store, [entry["path"] for entry in page])

    async def chunks(self, key: str) -> AsyncIterator[bytes]:
        """Yield what is in a blob, about a MiB at a time."""
        with _unavailable():
            response = await obstore.get_async(self._store, key)
            async for chunk in response.stream(min_chunk_size=MIB):
                yield bytes(chunk)


class Writing:
    """One blob on its way into the store."""

    def __init__(self, store: ObjectStore, folder: Path | None, staging: str) -> None:
        self._store = store
        self._folder = folder
        self._staging = staging
        self._file: LocalFile | Upload = LocalFile(folder / staging) if folder else Upload(store, staging)
        self._kept = False

    async def write(self, pieces: Iterable[bytes]) -> None:
        """Append `pieces`."""
        with _unavailable():
            await self._file.write(pieces)

    async def keep(self, sha256: str, shelf: Shelf = "sha256") -> str:
        """Make what was written the blob with this hash, durably, and return its key."""
        key = f"{shelf}/{sha256[:2]}/{sha256}"
        with _unavailable():
            await self._file.close()
            try:
                await obstore.rename_async(self._store, self._staging, key, overwrite=False)
                self._kept = True
            except AlreadyExistsError:
                pass  # the same content came before
            if self._folder is not None:
                await asyncio.to_thread(_sync, (self._folder / key).parent, self._folder / shelf)
        return key

    async def discard(self) -> None:
        """Remove what is in staging; the sweep does it where this fails."""
        if not self._kept:
            with suppress(BaseError, OSError):
                await self._file.discard()


class Upload:
    """An object that is uploaded while its content comes; as `LocalFile` is for folders."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._writer: Any = None

    async def write(self, pieces: Iterable[bytes]) -> None:
        """Append `pieces`."""
        writer = self._open()
        for piece in pieces:
            await writer.write(piece)

    async def close(self) -> None:
        """Complete the object."""
        await self._open().close()

    async def discard(self) -> None:
        """Remove the object."""
        if self._writer is None:
            return
        if not await self._writer.closed():
            await self._writer.close()
        await obstore.delete_async(self._store, self._key)

    def _open(self) -> Any:  # noqa: ANN401 - obstore's writer has no name at runtime
        if self._writer is None:
            self._writer = obstore.open_writer_async(
                self._store, self._key, buffer_size=PART_BYTES, max_concurrency=PARTS_IN_FLIGHT_MAX
            )
        return self._writer


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        number = error.errno if isinstance(error, OSError) else None
        raise StoreUnavailable(errno.errorcode.get(number or 0, type(error).__name__)) from None


def _sync(*paths: Path) -> None:
    """Flush the folders, so that the rename in them is durable."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
