"""The links stage on a real Kafka: a delivery in, its content in the store, its records out."""

import asyncio
import json
import signal
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from cli import linkserver, processes, sampling
from models import samples
from streams.deliveries.normalize import normalize
from tests.faults.links import Run

pytestmark = pytest.mark.asyncio(loop_scope="session")

SENT = (
    "medical.consolidated-data",
    "medical.consolidated-data.empty",
    "medical.consolidated-data.failed",
    "medical.document-bulk-download-urls",
    "medical.bulk-patient-create",
    "patient.admit",
)
ARRIVE_TIMEOUT_S = 60


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def found(kafka, tmp_path_factory):
    """Everything the stage wrote for one of each sample, by topic."""
    async with linkserver.serving() as origin:
        run = Run(kafka, tmp_path_factory.mktemp("links"), SimpleNamespace(origins=[origin]))
        await processes.run("topics", "apply", environment=run.environment, log=run.log)
        await run.start()
        try:
            await _send(kafka, run.prefix, origin)
            yield await _read(kafka, run.prefix)
        finally:
            await run.end(signal.SIGTERM)


async def _send(kafka, prefix, origin):
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for number, name in enumerate(SENT):
            delivery = sampling.served_by(sampling.fresh(samples.load(name), now=datetime.now(UTC)), origin)
            normalized = normalize(delivery, index=0, received_at="2025-10-30T12:00:00.000Z")
            headers = [("ce_id", b"m-%d/0" % number), ("x-source", f"{prefix}webhooks/1/{number}/0".encode())]
            topic = prefix + normalized.topic
            await producer.send_and_wait(topic, normalized.value, key=normalized.key, partition=1, headers=headers)


async def _read(kafka, prefix):
    names = {"documents": 1, "bundles": 4, "bulk-patients": 3, "quarantine.links": 0}
    found = {name: [] for name in names}
    async with (
        AIOKafkaConsumer(
            *(prefix + name for name in names), bootstrap_servers=kafka, auto_offset_reset="earliest"
        ) as consumer,
        asyncio.timeout(ARRIVE_TIMEOUT_S),
    ):
        while any(len(found[name]) < count for name, count in names.items()):
            for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                found[partition.topic.removeprefix(prefix)] += records
    return found


async def test_a_document_is_a_record_with_its_hash(found):
    (record,) = found["documents"]

    fields = json.loads(record.value)
    assert (fields["outcome"], fields["bytes"]) == ("stored", len(linkserver.find("doc.xml").body))
    assert fields["sha256"] in fields["blob"]


async def test_bundles_of_a_patient_leave_in_the_order_they_came(found):
    ended = [json.loads(record.value) for record in found["bundles"]]

    assert [(fields["kind"], fields["outcome"], fields["bytes"]) for fields in ended] == [
        ("consolidated", "stored", len(linkserver.find("MR.json").body)),
        ("consolidated", "stored", 0),
        ("consolidated", "failed", None),
        ("encounter", "stored", len(linkserver.find("encounter.hl7.json").body)),
    ]


async def test_the_rows_of_a_bulk_result_are_records(found):
    rows = [json.loads(record.value) for record in found["bulk-patients"]]

    assert [(row["row"], row["status"], row["columns"]["externalid"]) for row in rows] == [
        (1, "successful", "MRN-0042"),
        (2, "failed", "MRN-0043"),
        (3, "failed", "MRN-0044"),
    ]
    assert {row["requestId"] for row in rows} == {record.key.decode() for record in found["bulk-patients"]}


async def test_nothing_is_set_aside_and_no_record_holds_a_link(found):
    assert found["quarantine.links"] == []
    for record in (*found["documents"], *found["bundles"], *found["bulk-patients"]):
        assert b"X-Amz" not in record.value


async def test_each_record_says_which_delivery_it_came_from(found):
    for name in ("documents", "bundles", "bulk-patients"):
        for record in found[name]:
            headers = dict(record.headers)
            assert record.partition == 1
            assert b"/1/" in headers["x-source"]
            assert headers["ce_id"].startswith(b"m-")
            assert headers["ce_type"].decode() == name
