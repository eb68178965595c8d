"""The work list as state: a record's links are written into the table, fetched from there, and leave it when settled.

Reading never waits for fetching, so a link that hangs delays nobody. After a crash or a rebalance the partition's new
owner goes on with what is listed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import msgspec
from msgspec import structs

from models import headers, topics
from streams.engine.job import BatchedJob, Context, Output, Record, State
from streams.links import link as link_codec
from streams.links.fetching.blobs import Blobs
from streams.links.fetching.fetch import Fetcher
from streams.links.fetching.progress import Progress
from streams.links.fetching.retry import DEFAULT_POLICY, RetryPolicy
from streams.links.limits import FetchLimits
from streams.links.link import STATE_PREFIX, Link, Outcome, state_key
from streams.links.listing import known_types
from streams.links.listing.known_types import Source
from streams.links.publishing.bulk_rows import BulkRows
from streams.links.publishing.committer import Settling
from streams.links.publishing.records import Outputs
from streams.links.scheduling.dispatcher import Fetchers
from streams.links.scheduling.resequencer import Departure
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
        self._records = Outputs(prefix)
        self._engine: Context | None = None
        self._term: _Term | None = None
        self.outputs = self._records.topics
        self.quarantine = self._records.quarantine

    # --- what the engine asks of a job -----------------------------------------------------------------------------

    def decode(self, record: Record) -> list[Link]:
        """Return the links in a record."""
        kind = record.topic.removeprefix(self._prefix)
        if kind == topics.UNRECOGNISED:
            count_max = self._limits.unrecognised_links_max
            return known_types.links_of_unknown(
                record.value or b"", _source(record), record.key or b"", count_max=count_max
            )
        return known_types.links(kind, record.value or b"", _source(record))

    def keys(self, _links: list[Link]) -> tuple[bytes, ...]:
        """Return nothing: listing a link does not depend on what is listed."""
        return ()

    def apply(self, links: list[Link], state: State) -> tuple[Output, ...]:
        """List the links."""
        for link in links:
            state.put(state_key(link), link_codec.encode(link))
        return ()

    # --- what it does beside that ----------------------------------------------------------------------------------

    def bound(self, engine: Context) -> None:
        """Take the engine, before anything else."""
        self._engine = engine

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Go on with what is listed."""
        assert self._engine is not None, "the engine is bound first"
        self._term = term = _Term(self._engine, self._records, self._limits, self._retries, self._parts)
        await term.begin(partitions, self._open)

    async def revoked(self) -> None:
        """Stop fetching; what is listed stays listed."""
        if self._term is not None:
            term, self._term = self._term, None
            await term.end()

    def written(self, partition: int, changes: Mapping[bytes, bytes | None]) -> None:
        """Fetch what was listed just now."""
        if self._term is not None:
            self._term.take_on(partition, changes)


class _Term:
    """Everything that runs from one assignment to its end."""

    def __init__(
        self, engine: Context, records: Outputs, limits: FetchLimits, retries: RetryPolicy, parts: Parts
    ) -> None:
        self._engine = engine
        self._records = records
        self._limits = limits
        self._retries = retries
        self._stack = AsyncExitStack()
        self._parts = parts
        self._settling = Settling(engine.complete, records, parts)
        self._rows: BulkRows | None = None
        self._fetchers: Fetchers | None = None

    async def begin(self, partitions: frozenset[int], open_: Open) -> None:
        fetcher, blobs = await open_(self._stack)
        self._rows = BulkRows(
            self._engine.complete,
            self._records,
            blobs,
            self._parts,
            rows_max=self._limits.rows_max,
            retries=self._retries,
            attempt=self._engine.attempt,
        )

        async def fetch(link: Link, *, partition: int, progress: Progress) -> Outcome:
            async with self._engine.attempt(partition, state_key(link)):
                return await fetcher.fetch(link, partition=partition, progress=progress)

        self._fetchers = Fetchers(fetch, self._limits, self._parts, finished=self._finished)
        await asyncio.gather(*(blobs.sweep(partition) for partition in partitions))
        for partition in sorted(partitions):
            self.take_on(partition, dict(self._engine.scan(partition, STATE_PREFIX)))
        self._fetchers.start()

    async def end(self) -> None:
        if self._fetchers:
            await self._fetchers.stop()
        await self._settling.stop()
        if self._rows:
            await self._rows.stop()
        await self._stack.aclose()

    def take_on(self, partition: int, listed: Mapping[bytes, bytes | None]) -> None:
        assert self._fetchers is not None, "a term begins before it takes on links"
        assert self._rows is not None, "a term begins before it takes on links"
        links = list[Link]()
        for key, value in listed.items():
            if not (key.startswith(STATE_PREFIX) and value):
                continue
            try:
                link = link_codec.decode(value)
            except msgspec.MsgspecError:
                self._settling.refuse(partition, key, value)
                continue
            if self._engine.is_too_costly(partition, key):
                self._settling.put(partition, Departure(link, Outcome("failed", "too_costly", at=datetime.now(UTC))))
            elif link.fetched:
                self._rows.put(partition, link)
            else:
                links.append(link)
        self._fetchers.add(partition, links)

    def _finished(self, partition: int, departure: Departure) -> None:
        link, outcome = departure
        if link.kind == "bulk-result" and outcome.outcome == "stored" and self._rows:
            self._rows.put(partition, structs.replace(link, fetched=outcome.body))
        else:
            self._settling.put(partition, departure)


def _source(record: Record) -> Source:
    """Return what Kafka says of a record; its order is its place in `webhooks`, the same for all types of a patient."""
    ce_id = headers.text(record.headers, headers.CE_ID) or f"{record.topic}/{record.partition}/{record.offset}"
    place = (headers.text(record.headers, headers.SOURCE) or "").split("/")
    order = int(place[-2]) if len(place) > 1 and place[-2].isdecimal() else record.offset
    return Source(f"{record.topic}/{record.partition}/{record.offset}", ce_id, order, record.timestamp)
