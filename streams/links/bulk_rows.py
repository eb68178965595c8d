"""Publishing the rows of a bulk result, from our own copy: in steps that each say how far it is."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import stamina
from msgspec import structs

from streams.engine.job import Output
from streams.links import bulk_csv, events
from streams.links.blobs import Blobs, StoreUnavailable
from streams.links.link import Link, encode, state_key
from streams.links.outputs import NOT_A_RESULT, UNREADABLE_ROW, Outputs
from streams.links.settling import Settle

ROWS_MAX = 500  # per write


class BulkRows:
    """Publishes bulk results that are in the store."""

    def __init__(self, settle: Settle, outputs: Outputs, blobs: Blobs) -> None:
        self._settle = settle
        self._outputs = outputs
        self._blobs = blobs
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def put(self, partition: int, link: Link) -> None:
        """Publish the rows of `link`, whose result is `fetched`, from `rows_done` on."""
        task = asyncio.create_task(self._publish(partition, link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(events.tell_broken)

    async def stop(self) -> None:
        """End after the step that is being written."""
        self._stopped = True
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _publish(self, partition: int, link: Link) -> None:
        async for attempt in stamina.retry_context(on=StoreUnavailable, attempts=None, timeout=None):
            with attempt:
                if not self._stopped:
                    link = await self._steps(partition, link)

    async def _steps(self, partition: int, link: Link) -> Link:
        async for outputs, done in self._chunks(link):
            link = structs.replace(link, rows_done=done)
            if self._stopped or not await self._settle(partition, outputs, {state_key(link): encode(link)}):
                return link
        await self._settle(partition, [], {state_key(link): None})
        return link

    async def _chunks(self, link: Link) -> AsyncIterator[tuple[list[Output], int]]:
        """Yield the outputs of the next rows, and the number of rows that are done with them."""
        assert link.fetched is not None, "only what is in the store is published"
        names: tuple[str, ...] | None = None
        ragged, number = False, 0
        async for lines in self._blobs.lines(link.fetched.blob):
            if names is None and lines:
                try:
                    names = bulk_csv.header(lines.pop(0))
                except bulk_csv.NotAResult:
                    yield [self._outputs.quarantined(link, b"", NOT_A_RESULT, place=0)], 0
                    return
                ragged = await self._is_ragged(link, names)
            for first in range(0, len(lines), ROWS_MAX):
                chunk = lines[first : first + ROWS_MAX]
                start, number = number + 1, number + len(chunk)
                if number > link.rows_done and names is not None:
                    numbered = [item for item in enumerate(chunk, start) if item[0] > link.rows_done]
                    yield await asyncio.to_thread(list, self._rows(link, names, numbered, ragged=ragged)), number

    async def _is_ragged(self, link: Link, names: tuple[str, ...]) -> bool:
        assert link.fetched is not None, "only what is in the store is read"
        begun = False
        async for lines in self._blobs.lines(link.fetched.blob):
            rows = lines if begun else lines[1:]
            begun = begun or bool(lines)
            if await asyncio.to_thread(bulk_csv.is_ragged, names, rows):
                return True
        return False

    def _rows(
        self, link: Link, names: tuple[str, ...], lines: list[tuple[int, bytes]], *, ragged: bool
    ) -> Iterator[Output]:
        at = datetime.fromtimestamp(link.timestamp_ms / 1000, UTC)
        for number, line in lines:
            row = bulk_csv.read(names, line, ragged=ragged)
            if row is None:
                events.ROWS_UNREAD()
                yield self._outputs.quarantined(link, line, UNREADABLE_ROW, place=number)
            else:
                yield self._outputs.row(link, number, row, at)
