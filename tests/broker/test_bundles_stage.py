"""The bundles stage as a process of its own, on a real Kafka, with real blobs."""

import asyncio
import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from models import topics as catalogue

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests/fhir/samples/synthea.json"
PATIENT = next(
    entry["resource"]["id"]
    for entry in json.loads(SAMPLE.read_bytes())["entry"]
    if entry["resource"]["resourceType"] == "Patient"
)
PARTITIONS = 2


class Stage:
    def __init__(self, kafka, prefix, folder):
        self.kafka, self.prefix, self.folder = kafka, prefix, folder
        self.sent = 0
        self.worker = None
        (folder / "blobs").mkdir()

    async def start(self):
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "TOPIC_PREFIX": self.prefix,
            "TOPIC_PARTITIONS": str(PARTITIONS),
            "TOPIC_REPLICATION": "1",
            "STATE_DIR": str(self.folder / "state"),
            "BLOB_STORE_URL": f"file://{self.folder}/blobs",
            "SESSION_TIMEOUT_S": "6",
            "WORKER_PORT": "0",
        }
        with (self.folder / "log").open("ab") as log:
            self.worker = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "streams.stage", "bundles"),
                cwd=ROOT,
                env=os.environ | environment,
                stdout=log,
                stderr=log,
            )

    async def kill(self):
        with contextlib.suppress(ProcessLookupError):
            self.worker.kill()
        await self.worker.wait()

    async def run(self, *arguments):
        """Run a command of the operator's; return its exit code and what it printed."""
        environment = {"KAFKA_BOOTSTRAP_SERVERS": self.kafka, "TOPIC_PREFIX": self.prefix}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", *arguments, "--json"),
            cwd=ROOT,
            env=os.environ | environment,
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
        return process.returncode, json.loads(printed)

    async def send(self, resources, *, day=None):
        raw = json.dumps({"resourceType": "Bundle", "entry": [{"resource": each} for each in resources]}).encode()
        self.sent += 1
        (self.folder / "blobs" / f"b-{self.sent}").write_bytes(raw)
        value = {
            "messageId": f"m-{self.sent}",
            "type": "medical.consolidated-data",
            "when": f"2025-01-{day or self.sent:02d}T00:00:00Z",
            "patientId": PATIENT,
            "kind": "consolidated",
            "complete": True,
            "bytes": len(raw),
            "sha256": hashlib.sha256(raw).hexdigest(),
            "blob": f"b-{self.sent}",
            "outcome": "stored",
        }
        async with AIOKafkaProducer(bootstrap_servers=self.kafka) as producer:
            await producer.send_and_wait(f"{self.prefix}bundles", json.dumps(value).encode(), key=PATIENT.encode())

    async def read(self, *names):
        """Return all records of these topics, in order per partition."""
        options = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka, **options) as consumer:
            places = [TopicPartition(self.prefix + name, number) for name in names for number in range(PARTITIONS)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            records = []
            while len(records) < sum(ends.values()):
                for some in (await consumer.getmany(timeout_ms=200)).values():
                    records += some
            return records

    async def snapshots(self, count):
        async with asyncio.timeout(90):
            while len(found := await self.read("fhir.snapshots")) < count:  # noqa: ASYNC110 - Kafka tells nobody
                await asyncio.sleep(0.2)
        return [json.loads(record.value) for record in found]


@pytest.fixture
async def stage(kafka, topics, topic_prefix, tmp_path):
    big = {"max.message.bytes": str(42 * 2**20)}
    names = [topic.name for topic in catalogue.catalogue()]
    await topics(*names, partitions=PARTITIONS, configs=big)
    made = Stage(kafka, topic_prefix, tmp_path)
    await made.read(*names)  # answers once every partition has a leader
    await made.start()
    yield made
    await made.kill()


def folded_changes(records):
    found = {}
    for record in records:
        headers = dict(record.headers)
        if not headers["x-change"].startswith((b"snapshot", b"removal")):
            key = b"/".join((record.key, headers["x-resource-type"], headers["x-identity"]))
            found[key] = record.value if headers["x-change"] in {b"created", b"updated"} else None
    return {key: value for key, value in found.items() if value is not None}


async def test_a_worker_killed_in_the_middle_of_a_bundle_loses_and_repeats_nothing(stage):
    sample = [entry["resource"] for entry in json.loads(SAMPLE.read_bytes())["entry"]]
    copies = [
        {**each, "id": f"{each['id'][:30]}-{copy}", "identifier": [{"value": f"{each['id']}-{copy}"}]}
        for copy in range(40)
        for each in sample
        if each["resourceType"] in {"Observation", "Condition", "Encounter", "Immunization"}
    ]
    await stage.send([*sample, *copies])
    async with asyncio.timeout(90):
        while not await stage.read("fhir.changes"):  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(0.05)
    await stage.kill()
    await stage.start()
    await stage.send([*sample, *copies])
    await stage.send([*sample, *copies[:-1], {**copies[-1], "language": "de"}])

    snapshots = await stage.snapshots(3)

    changes = await stage.read("fhir.changes")
    states = await stage.read(*(topic.name for topic in catalogue.catalogue() if topic.name.startswith("fhir.state.")))
    total = len(sample) + len(copies)
    assert [snapshot["counts"]["created"] for snapshot in snapshots] == [total, 0, 0]
    assert [snapshot["counts"]["updated"] for snapshot in snapshots] == [0, 0, 1]
    assert len(changes) == total + 2 + 3
    assert folded_changes(changes) == {record.key: record.value for record in states if record.value is not None}
    assert {record.partition for record in (*changes, *states)} == {changes[0].partition}


async def test_an_operator_decides_about_removals_that_are_held(stage):
    sample = [entry["resource"] for entry in json.loads(SAMPLE.read_bytes())["entry"]]
    [patient] = [each for each in sample if each["resourceType"] == "Patient"]
    await stage.send(sample, day=1)
    await stage.send([{**patient, "language": "de"}], day=2)
    await stage.send([patient], day=10)
    snapshots = await stage.snapshots(3)

    listed = await stage.run("fhir", "removals", "list")
    shown = await stage.run("fhir", "removals", "apply", "--type", "Condition")
    done = await stage.run("fhir", "removals", "apply", "--snapshot", "m-3", "--yes")
    await stage.snapshots(3 + len(done[1]))

    changes = await stage.read("fhir.changes")
    states = await stage.read(*(topic.name for topic in catalogue.catalogue() if topic.name.startswith("fhir.state.")))
    held = snapshots[2]["counts"]["held"]
    assert held == len(sample) - 1
    assert sum(row["resources"] for row in listed[1]) == sum(row["resources"] for row in done[1]) == held
    assert {row["resource_type"] for row in shown[1]} == {"Condition"}
    assert (listed[0], shown[0], done[0]) == (0, 0, 0)
    assert folded_changes(changes) == {record.key: record.value for record in latest(states)}
    assert len(folded_changes(changes)) == 1
    assert await stage.run("fhir", "removals", "list") == (0, [])
    assert (await stage.run("fhir", "removals", "discard", "--yes"))[0] == 1


def latest(records):
    found = {record.key: record for record in sorted(records, key=lambda record: record.offset)}
    return [record for record in found.values() if record.value is not None]
