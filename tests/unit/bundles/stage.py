"""The bundles job under the real engine, with a Kafka and a state in memory."""

import asyncio
import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from models.errors import Poison
from streams.bundles.bundle.file import bundle_file
from streams.bundles.job import BundlesJob, Options
from streams.bundles.snapshot.diff import Grace
from streams.bundles.validation.build import Standards
from streams.bundles.validation.build import validators as build_validators
from streams.bundles.validation.chunk import Chunk, validate
from streams.engine.job import RESERVED, Output
from tests.unit.engine.fakes import Crash, MemoryKafka, MemoryState, Process

validators = cache(build_validators)

PATIENT = "p-1"
SOURCE = "metriport.bundles"
DECISIONS = "metriport.release.bundles"
EMPTY = {}
DAY_MS = 24 * 60 * 60 * 1000


class LocalValidator:
    """Validates in this process, and counts what it was asked."""

    def __init__(self, **standards):
        self._validator = validators().validator(Standards(**standards))
        self.validated = 0

    def start(self):
        pass

    def validate(self, chunks, moved):
        for chunk in chunks:
            self.validated += len(chunk)
            moved()
            yield validate(self._validator, Chunk(chunk)).resources


@dataclass
class FolderBlobs:
    folder: Path

    @contextmanager
    def on_disk(self, key, _progress):
        if not (self.folder / key).exists():
            raise Poison("no_blob")
        with bundle_file(self.folder / key) as opened:
            yield opened


@dataclass
class SourceRecord:
    value: bytes
    offset: int
    key: bytes = PATIENT.encode()
    topic: str = SOURCE
    partition: int = 0
    timestamp: int = 0
    headers: tuple = ()


class RowByRow(MemoryKafka):
    """A Kafka whose sender may die between any two records."""

    async def send(self, partition, outputs, *, whole=False):
        for topic, rows in outputs.items():
            for some in [rows] if whole else [[row] for row in rows]:
                reached = await super().send(partition, {topic: some}, whole=whole)
        return reached


class Stage:
    """Delivers bundles to the job, each to a worker just started; keeps its state and its topics."""

    def __init__(self, validator, folder, grace=None):
        options = Options("metriport.", ("Observation", "Patient", "Condition"), 100_000, "v1")
        options = options._replace(grace=grace or Grace(2, 7 * DAY_MS))
        self.validator = validator
        self.job = BundlesJob(FolderBlobs(folder), validator, options)
        self.kafka = RowByRow()
        self._state = MemoryState(self.kafka)
        self._folder = folder
        self._records = self._decisions = 0

    def deliver(self, bundle, *, killed_after=None, replaced=EMPTY, **facts):
        """Process one bundle, resources or bytes; return its outputs. The first worker dies after so many effects."""
        record = self._record(bundle, facts)
        for written, instead in replaced.items():
            record.value = record.value.replace(written, instead)
        return self.deliver_record(record, killed_after=killed_after)

    def decide(self, snapshot_id, action, *, resource_type=None, killed_after=None):
        """Process what an operator decided."""
        self._decisions += 1
        value = {
            "decision": "removals",
            "decisionId": f"d-{self._decisions}",
            "patientId": PATIENT,
            "snapshotId": snapshot_id,
            "action": action,
            "resourceType": resource_type,
            "decidedAt": "2025-03-01T00:00:00Z",
        }
        record = SourceRecord(json.dumps(value).encode(), self._decisions - 1, topic=DECISIONS)
        return self.deliver_record(record, killed_after=killed_after)

    def deliver_record(self, record, *, killed_after=None):
        before = {topic: len(rows) for topic, rows in self.topics.items()}
        self.kafka.effects_left = killed_after
        if not asyncio.run(self._process(record)):
            self.kafka.effects_left = None
            assert asyncio.run(self._process(record))
        self.kafka.effects_left = None
        return Outputs([row for topic, rows in self.topics.items() for row in rows[before.get(topic, 0) :]])

    @property
    def topics(self):
        """The records of each topic the job wrote to."""
        written = {*self.job.outputs, self.job.quarantine}
        return {topic: rows for (topic, _), rows in self.kafka.logs.items() if topic in written and rows}

    @property
    def state(self):
        """What the job has written into the state."""
        return {key: value for key, value in self._state.copies[0].items() if not key.startswith(RESERVED)}

    def remember(self, state):
        """Have the worker find this in its state, each value as msgpack."""
        rows = [Output("test-state-changelog", key, msgspec.msgpack.encode(value)) for key, value in state.items()]
        self.kafka.logs["test-state-changelog", 0] += rows

    def folded(self, *topics):
        """Return the newest value per key, as a reader who begins at the start has it."""
        found = {}
        for topic in topics:
            for row in self.topics.get(topic, []):
                found[row.key.decode()] = row.value
        return {key: value for key, value in found.items() if value is not None}

    def folded_changes(self):
        found = {}
        for row in self.topics.get("metriport.fhir.changes", []):
            headers = dict(row.headers)
            if headers["x-change"].startswith((b"snapshot", b"removal")):
                continue
            key = b"/".join((row.key, headers["x-resource-type"], headers["x-identity"])).decode()
            if headers["x-change"] in {b"removed", b"superseded"}:
                del found[key]
            else:
                found[key] = row.value
        return found

    def folded_state(self):
        return self.folded(*(topic for topic in self.topics if ".fhir.state." in topic))

    def _record(self, bundle, facts):
        self._records += 1
        raw = bundle if isinstance(bundle, bytes) else bundle_of(bundle)
        name = f"blob-{self._records}"
        (self._folder / name).write_bytes(raw)
        when = f"2025-01-01T00:00:00.{self._records:03d}Z"
        known = {"messageId": f"m-{self._records}", "when": when, "sha256": hashlib.sha256(raw).hexdigest()}
        return SourceRecord(record_value(**{"blob": name, **known, **facts}), self._records - 1)

    async def _process(self, record):
        """Let a worker begin and process the record; return whether it lived to the end."""
        process = Process(self.job, self.kafka, self._state, sources=(SOURCE, DECISIONS), record_bytes_max=40 * 2**20)
        try:
            await process.begin()
        except Crash:
            return False
        process.feed([record])
        await process.idle()
        assert {type(error) for error in process.ended} <= {Crash}, process.ended
        return not process.ended


class Outputs(list):
    """What one bundle became."""

    def changes(self):
        """The changes of resources: what, type, identity."""
        return [
            (headers["x-change"].decode(), headers["x-resource-type"].decode(), headers["x-identity"].decode())
            for headers in (dict(row.headers) for row in self.of("fhir.changes"))
            if not headers["x-change"].startswith((b"snapshot", b"removal"))
        ]

    def of(self, topic):
        return [row for row in self if row.topic == f"metriport.{topic}"]

    @property
    def snapshot(self):
        return json.loads(self.of("fhir.snapshots")[0].value)

    @property
    def counts(self):
        return {name: count for name, count in self.snapshot["counts"].items() if count}


def record_value(blob, **facts):
    """Return the value of a record of `bundles`."""
    value = {
        "messageId": "m-1",
        "type": "medical.consolidated-data",
        "when": "2025-01-01T00:00:00Z",
        "patientId": PATIENT,
        "kind": "consolidated",
        "format": "json",
        "complete": True,
        "blob": blob,
        "outcome": "stored",
        **facts,
    }
    return json.dumps(value).encode()


def bundle_of(resources):
    entries = [{"fullUrl": f"urn:uuid:{resource.get('id')}", "resource": resource} for resource in resources]
    return json.dumps({"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}).encode()


def patient(**more):
    return {"resourceType": "Patient", "id": PATIENT, **more}


def observation(number, value=1, **more):
    return {
        "resourceType": "Observation",
        "id": f"o-{number}",
        "status": "final",
        "code": {"text": f"test {number}"},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "effectiveDateTime": f"2020-01-{number % 28 + 1:02d}",
        "valueQuantity": {"value": value},
        **more,
    }


def derived_from(resource_type, *ids):
    url = "http://hl7.org/fhir/StructureDefinition/artifact-relatedArtifact"
    return [
        {"url": url, "valueRelatedArtifact": {"type": "derived-from", "display": f"{resource_type}/{known}"}}
        for known in ids
    ]
