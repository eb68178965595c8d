"""The links stage in memory: the real job on the real engine, no Kafka, no disk, and fetches that end as told."""

import asyncio
import json
from contextlib import asynccontextmanager
from inspect import isawaitable

from obstore.store import MemoryStore

from models import samples
from streams.deliveries.normalize import normalize
from streams.links.fetching.blobs import Blobs
from streams.links.fetching.retry import DEFAULT_POLICY
from streams.links.job import LinksJob
from streams.links.limits import FetchLimits
from streams.links.link import STATE_PREFIX, Outcome, StoredBody
from tests.unit.engine.fakes import MemoryKafka, MemoryState, Process, Record

PREFIX = "metriport."
RELEASES = PREFIX + "release.links"
DOCUMENTS = PREFIX + "medical.document-bulk-download-urls"
LIMITS = FetchLimits(order_wait_s=0.0)
BODY = StoredBody(12, "ab" * 32, "sha256/ab/abab", '"e"', "Thu, 30 Oct 2025 12:00:00 GMT")
STORED = Outcome("stored", body=BODY)


class Stage:
    """`fetch` says how each link ends; by default it is stored."""

    def __init__(
        self,
        fetch=None,
        *,
        limits=LIMITS,
        retries=DEFAULT_POLICY,
        partitions=(0,),
        record_bytes_max=100_000,
        kafka=None,
        work_file=None,
    ):
        self.kafka = kafka or MemoryKafka()
        self.state = MemoryState(self.kafka)
        self.store = MemoryStore()
        self.died = []
        self.fetched = []
        self.partitions = partitions
        self._fetch = fetch or (lambda _link: STORED)
        job = LinksJob(PREFIX, limits, self._open, retries=retries, end=self.died.append)
        sources = (DOCUMENTS, PREFIX + "medical.bulk-patient-create", PREFIX + "patient.admit", RELEASES)
        self.process = Process(
            job,
            self.kafka,
            self.state,
            sources=sources,
            decisions=RELEASES,
            stage="links",
            record_bytes_max=record_bytes_max,
            work_file=work_file,
        )
        self.job = job

    async def _open(self, _stack):
        return self, Blobs(self.store)

    async def fetch(self, link, *, partition, progress):  # noqa: ARG002 - as the real one
        self.fetched.append(link.id)
        ended = self._fetch(link)
        return await ended if isawaitable(ended) else ended

    def listed(self):
        """Return what is on the work list."""
        return [item for number in self.partitions for item in self.state.scan(number, STATE_PREFIX)]

    async def settled(self):
        """Wait until nothing is listed any more, or the stage has ended."""
        async with asyncio.timeout(20):
            await self.process.idle()
            while self.listed() and not self.died and not self.process.ended:  # noqa: ASYNC110 - a table has no event
                await asyncio.sleep(0.001)

    def marks(self, name):
        """Return the `x-released` of each record of one topic, in order."""
        rows = [row for number in self.partitions for row in self.kafka.logs[PREFIX + name, number]]
        return [dict(row.headers).get("x-released") for row in rows]

    def found(self, name):
        """Return the values of one topic, in order."""
        return [
            json.loads(value) if value else None
            for number in self.partitions
            for value in self.kafka.values(PREFIX + name, number)
        ]

    def reasons(self):
        """Return why records are in quarantine."""
        rows = [row for number in self.partitions for row in self.kafka.logs[self.job.quarantine, number]]
        return [dict(row.headers)["x-quarantine-reason"].decode() for row in rows]

    def fatal(self):
        return [*self.died, *self.process.ended]


@asynccontextmanager
async def running(*args, listed=(), **options):
    """A stage that has begun, with what its table `listed` before."""
    stage = Stage(*args, **options)
    for key, value in listed:
        stage.state.copies[0][key] = value
    await stage.process.begin(*stage.partitions)
    try:
        yield stage
    finally:
        await stage.process.engine.revoked()


def documents(*urls, offset=0, partition=0, message="m-1", **changes):
    """Return a delivery that lists a document for each of `urls`."""
    delivery = samples.load("medical.document-bulk-download-urls")
    document = delivery["patients"][0]["documents"][0]
    delivery["patients"][0]["documents"] = [
        document | {"id": f"d-{number}", "url": url} | changes for number, url in enumerate(urls)
    ]
    delivery["meta"]["messageId"] = message
    return _record(delivery, offset, partition, message)


def bundle(url="https://b.s3.amazonaws.com/bundle.json", *, offset=0):
    """Return a delivery that links a bundle."""
    delivery = samples.load("patient.admit")
    delivery["payload"]["url"] = url
    return _record(delivery, offset, 0, "m-bundle")


def bulk(url="https://b.s3.amazonaws.com/result.csv", *, offset=0):
    """Return a delivery that a bulk create has ended."""
    delivery = samples.load("medical.bulk-patient-create")
    delivery["meta"]["result"] = url
    return _record(delivery, offset, 0, "m-bulk")


def released(record, *, offset=0, place=PREFIX + "quarantine.links/0/7"):
    """Return `record` as `quarantine release` writes it, once it was refused."""
    said = (
        ("x-released", place),
        ("x-quarantine-topic", record.topic),
        ("x-quarantine-partition", record.partition),
        ("x-quarantine-offset", record.offset),
        ("x-quarantine-timestamp", record.timestamp),
        ("x-quarantine-attempt", 1),
    )
    given = ((name, str(value).encode()) for name, value in said)
    # Quarantine has an `x-source` of its own.
    kept = (header for header in record.headers if header[0] != "x-source")
    return record._replace(topic=RELEASES, offset=offset, headers=(*kept, *given))


def _record(delivery, offset, partition, message):
    made = normalize(delivery, index=0, received_at="2025-10-30T12:00:01.000Z")
    return Record(
        offset,
        made.value,
        made.key,
        PREFIX + made.topic,
        partition,
        1_761_825_600_000,
        (("ce_id", f"{message}/0".encode()), ("x-source", b"metriport.webhooks/0/%d/0" % offset)),
    )
