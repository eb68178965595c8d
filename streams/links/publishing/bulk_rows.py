"""Publish the rows of a bulk result from our own copy, in steps that each say how far it is."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Literal

from msgspec import structs

from models import moments
from models.errors import Poison
from models.reasons import TOO_LARGE, UNPROCESSABLE, LinksReason
from streams.engine.fatal import where
from streams.engine.job import Context, Output
from streams.links import events
from streams.links.fetching import retry
from streams.links.fetching.blobs import Blobs
from streams.links.fetching.retry import RetryPolicy, StoreUnavailable
from streams.links.link import Link, StoredBody, encode, state_key
from streams.links.publishing import bulk_csv
from streams.links.publishing.committer import tell
from streams.links.publishing.lines import Lines
from streams.links.publishing.records import Records
from streams.links.tasks import Parts

ROWS_MAX = 500  # per write

Numbered = tuple[int, Output]


class BulkRows:
    """Publishes bulk results that are in the store."""

    def __init__(
        self, context: Context, records: Records, blobs: Blobs, parts: Parts, *, rows_max: int, retries: RetryPolicy
    ) -> None:
        """`rows_max`: of one result."""
        self._context = context
        self._records = records
        self._blobs = blobs
        self._parts = parts
        self._rows_max = rows_max
        self._retries = retries
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def put(self, partition: int, link: Link) -> None:
        """Publish the rows of `link`, whose result is `fetched`, from `rows_done` on."""
        assert link.fetched is not None, "only what is in the store is published"
        result = _Result(link, link.fetched, self._records, self._blobs, rows_max=self._rows_max)
        task = self._parts.start(self._publish(partition, result))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """End after the step that is being written."""
        self._stopped = True
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _publish(self, partition: int, result: "_Result") -> None:
        key = state_key(result.link)

        async def attempt(_number: int) -> LinksReason | Literal[""] | None:
            if self._stopped:
                return None
            async with self._context.attempt(partition, key):
                return await self._steps(partition, result)

        reason = await retry.until_ended(attempt, self._retries)
        if reason is None:
            return
        link = result.link
        refused = [self._records.quarantined(link, b"", reason, place=0, blob=result.body.blob)] if reason else []
        if await self._context.complete(partition, refused, {key: None}):
            tell(link.kind, "failed" if reason else "stored", reason)

    async def _steps(self, partition: int, result: "_Result") -> LinksReason | Literal[""] | None:
        """Write all rows that are left; return what is wrong with the file, or None if it is not ours any more."""
        try:
            async with aclosing(result.steps()) as steps:
                async for numbered, done in steps:
                    if self._stopped or not await self._write(partition, result.link, numbered, done):
                        return None
                    result.link = done
        except bulk_csv.NotAResult:
            return "wrong_content"
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file must not stop the others
            events.BROKEN(error=where(error))
            return UNPROCESSABLE
        return result.lacks

    async def _write(self, partition: int, link: Link, numbered: Sequence[Numbered], done: Link) -> bool:
        try:
            return await self._context.complete(
                partition, [output for _, output in numbered], {state_key(done): encode(done)}
            )
        except Poison:
            for number, output in numbered:
                await self._write_alone(partition, link, number, output)
            return await self._context.complete(partition, [], {state_key(done): encode(done)})

    async def _write_alone(self, partition: int, link: Link, number: int, output: Output) -> None:
        try:
            await self._context.complete(partition, [output], {})
        except Poison:
            await self._context.complete(partition, [self._records.quarantined(link, b"", TOO_LARGE, place=number)], {})


class _Result:
    """One result, and how far its rows are published."""

    def __init__(self, link: Link, body: StoredBody, records: Records, blobs: Blobs, *, rows_max: int) -> None:
        self.link = link
        self.body = body
        # What is wrong with the file as a whole, although all of its rows were looked at.
        self.lacks: LinksReason | Literal[""] = ""
        self._records = records
        self._blobs = blobs
        self._rows_max = rows_max

    async def steps(self) -> AsyncGenerator[tuple[list[Numbered], Link]]:
        """Yield the outputs of the next rows, and the link as it is listed once they are written.

        Raises `bulk_csv.NotAResult`, and what reading the store raises.
        """
        names: tuple[str, ...] | None = None
        ragged, number = False, 0
        async for read in self._lines():
            lines = read
            if names is None:
                names = bulk_csv.header(lines[0])
                ragged = await self._is_ragged(names)
                lines = lines[1:]
            for first in range(0, len(lines), ROWS_MAX):
                chunk = lines[first : first + ROWS_MAX]
                start, number = number + 1, number + len(chunk)
                if start > self._rows_max:
                    self.lacks = "too_many_rows"
                    return
                if number > self.link.rows_done:
                    left = [item for item in enumerate(chunk, start) if item[0] > self.link.rows_done]
                    outputs = await asyncio.to_thread(self._numbered, names, left, ragged=ragged)
                    yield outputs, structs.replace(self.link, rows_done=number)
        if names is None:
            raise bulk_csv.NotAResult
        if not number:
            self.lacks = "no_rows"

    async def _lines(self) -> AsyncIterator[list[bytes]]:
        """Yield the lines of the file, some at a time; cut in a thread, as a file may be all lines, or one."""
        lines = Lines(bulk_csv.ROW_BYTES_MAX)
        async for chunk in self._blobs.chunks(self.body.blob):
            if ended := await asyncio.to_thread(lines.feed, chunk):
                yield ended
        if rest := lines.end():
            yield rest

    async def _is_ragged(self, names: tuple[str, ...]) -> bool:
        seen = 0
        async for lines in self._lines():
            rows = lines if seen else lines[1:]
            seen += len(lines)
            if await asyncio.to_thread(bulk_csv.is_ragged, names, rows):
                return True
            if seen > self._rows_max:
                break
        return False

    def _numbered(self, names: tuple[str, ...], lines: list[tuple[int, bytes]], *, ragged: bool) -> list[Numbered]:
        at, unread, outputs = moments.of_ms(self.link.timestamp_ms), 0, list[Numbered]()
        for number, line in lines:
            row = bulk_csv.read(names, line, ragged=ragged)
            if row is None:
                unread += 1
                blob = self.body.blob if len(line) > bulk_csv.ROW_BYTES_MAX else None
                outputs.append(
                    (number, self._records.quarantined(self.link, line, "unreadable_row", place=number, blob=blob))
                )
            else:
                outputs.append((number, self._records.row(self.link, number, row, at)))
        if unread:
            events.ROWS_UNREAD(unread)
        return outputs
