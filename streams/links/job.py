"""List the links of each record in the table, fetch them from there, and take them off once their records are written.

Reading never waits for fetching, so a link that hangs delays nobody. After a crash or a rebalance the partition's new
owner goes on with what is listed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import msgspec
from msgspec import structs

from models import headers, reasons, topics
from streams.engine.job import BatchedJob, Context, Output, Record, State, released_from
from streams.links import link as link_codec
from streams.links.fetching.blobs import Blobs
from streams.links.fetching.fetch import Fetcher
from streams.links.fetching.progress import Progress
from streams.links.fetching.retry import DEFAULT_POLICY, RetryPolicy
from streams.links.limits import FetchLimits
from streams.links.link import STATE_PREFIX, Ended, Link, Outcome, state_key
from streams.links.listing import extract
from streams.links.listing.extract import Source
from streams.links.publishing.bulk_rows import BulkRows
from streams.links.publishing.committer import Committer
from streams.links.publishing.records import Records
from streams.links.scheduling.dispatcher import Dispatcher
from streams.links.tasks import Parts

Open = Callable[[AsyncExitStack], Awaitable[tuple[Fetcher, Blobs]]]


class LinksJob(BatchedJob[list[Link]]):
    """Lists links, and fetches what is listed while its partitions are ours."""

    def __init__(
        self,
        prefix: str,
        limits: FetchLimits,
        open_: Open,
        *,
        retries: RetryPolicy = DEFAULT_POLICY,
        end: Callable[[BaseException], object],
    ) -> None:
        """`open_` opens the client and the store when partitions come, in the running loop; `end` ends the process."""
        self._prefix = prefix
        self._limits = limits
        self._retries = retries
        self._open = open_
        self._parts = Parts(end)
        self._records = Records(prefix)
        self._context: Context | None = None
        self._stack = AsyncExitStack()
        self._assignment: _Assignment | None = None
        self.outputs = self._records.topics
        self.quarantine = self._records.quarantine

    # --- what the engine asks of a job -----------------------------------------------------------------------------

    def decode(self, record: Record) -> list[Link]:
        """Return the links in a record."""
        kind = record.topic.removeprefix(self._prefix)
        if kind == topics.UNRECOGNISED:
            count_max = self._limits.unrecognised_links_max
            return extract.links_of_unknown(
                record.value or b"", _source(record), record.key or b"", count_max=count_max
            )
        return extract.links(kind, record.value or b"", _source(record))

    def keys(self, _links: list[Link]) -> tuple[bytes, ...]:
        """Return nothing: listing a link does not depend on what is listed."""
        return ()

    def apply(self, links: list[Link], state: State) -> tuple[Output, ...]:
        """List the links."""
        for link in links:
            state.put(state_key(link), link_codec.encode(link))
        return ()

    # --- what it does beside that ----------------------------------------------------------------------------------

    def bound(self, context: Context) -> None:
        """Take the engine, before anything else."""
        self._context = context

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Go on with what is listed."""
        assert self._context is not None, "the engine is bound first"
        fetcher, blobs = await self._open(self._stack)
        self._assignment = assignment = _Assignment(
            self._context,
            self._records,
            fetcher,
            blobs,
            limits=self._limits,
            retries=self._retries,
            parts=self._parts,
        )
        await assignment.begin(partitions)

    async def revoked(self) -> None:
        """Stop fetching; what is listed stays listed."""
        assignment, self._assignment = self._assignment, None
        if assignment is not None:
            await assignment.end()
        await self._stack.aclose()

    def written(self, partition: int, changes: Mapping[bytes, bytes | None]) -> None:
        """Fetch what was listed just now."""
        if self._assignment is not None:
            self._assignment.take_on(partition, changes)


class _Assignment:
    """Everything that runs from one assignment of partitions to its end."""

    def __init__(
        self,
        context: Context,
        records: Records,
        fetcher: Fetcher,
        blobs: Blobs,
        *,
        limits: FetchLimits,
        retries: RetryPolicy,
        parts: Parts,
    ) -> None:
        self._context = context
        self._fetcher = fetcher
        self._blobs = blobs
        self._committer = Committer(context, records, parts)
        self._rows = BulkRows(context, records, blobs, parts, rows_max=limits.rows_max, retries=retries)
        self._dispatcher = Dispatcher(self._fetch, limits, parts, release=self._publish)

    async def begin(self, partitions: frozenset[int]) -> None:
        await asyncio.gather(*(self._blobs.sweep(partition) for partition in partitions))
        for partition in sorted(partitions):
            self.take_on(partition, dict(self._context.scan(partition, STATE_PREFIX)))
        self._dispatcher.start()

    async def end(self) -> None:
        await self._dispatcher.stop()
        await self._committer.stop()
        await self._rows.stop()

    def take_on(self, partition: int, listed: Mapping[bytes, bytes | None]) -> None:
        links = list[Link]()
        for key, value in listed.items():
            if not (key.startswith(STATE_PREFIX) and value):
                continue
            try:
                link = link_codec.decode(value)
            except msgspec.MsgspecError:
                self._committer.refuse(partition, key, value)
                continue
            if self._context.is_too_costly(partition, key):
                outcome = Outcome("failed", reasons.TOO_COSTLY, at=datetime.now(UTC))
                self._committer.put(partition, Ended(link, outcome))
            elif link.fetched:
                self._rows.put(partition, link)
            else:
                links.append(link)
        self._dispatcher.add(partition, links)

    async def _fetch(self, link: Link, *, partition: int, progress: Progress) -> Outcome:
        async with self._context.attempt(partition, state_key(link)):
            return await self._fetcher.fetch(link, partition=partition, progress=progress)

    def _publish(self, partition: int, ended: Ended) -> None:
        link, outcome = ended
        if link.kind == "bulk-result" and outcome.outcome == "stored":
            self._rows.put(partition, structs.replace(link, fetched=outcome.body))
        else:
            self._committer.put(partition, ended)


def _source(record: Record) -> Source:
    """Return what Kafka says of a record; its order is its place in `webhooks`, the same for all types of a patient."""
    ce_id = headers.text(record.headers, headers.CE_ID) or f"{record.topic}/{record.partition}/{record.offset}"
    place = (headers.text(record.headers, headers.SOURCE) or "").split("/")
    order = int(place[-2]) if len(place) > 1 and place[-2].isdecimal() else record.offset
    position = f"{record.topic}/{record.partition}/{record.offset}"
    return Source(position, ce_id, order, record.timestamp, released_from(record))
