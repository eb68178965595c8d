"""From a link in a webhook to documents, FHIR changes and the patient's state."""

import hashlib
import json
import random
import uuid
from pathlib import Path

import pytest

from cli import linkserver
from models import samples
from tests.journeys.conftest import header, linked, value

pytestmark = pytest.mark.asyncio(loop_scope="session")

FHIR_STATES = ("fhir.state.Condition", "fhir.state.Encounter", "fhir.state.Observation", "fhir.state.Patient")


def of(patient_id, records):
    return [record for record in records if record.key and record.key.startswith(patient_id.encode())]


async def outcome(service, topic, patient_id, count=1):
    """Return the patient's records in a topic once there are `count`."""
    found = await service.read(topic, until=lambda found: len(of(patient_id, found[topic])) >= count)
    return of(patient_id, found[topic])


async def test_a_document_behind_a_link_is_stored_byte_for_byte(service):
    patient_id = str(uuid.uuid4())
    delivery = linked(service, "medical.document-bulk-download-urls", patient_id)

    await service.deliver(samples.encode(delivery))

    (record,) = map(value, await outcome(service, "documents", patient_id))
    served = linkserver.find("doc.xml", patient_id=patient_id).body
    assert (record["outcome"], record["bytes"]) == ("stored", len(served))
    assert record["sha256"] == hashlib.sha256(served).hexdigest()
    assert (Path(service.folder) / "blobs" / record["blob"]).read_bytes() == served
    assert record["documentId"] == delivery["patients"][0]["documents"][0]["id"]


async def test_a_link_that_is_dead_becomes_a_record_with_what_is_needed_to_ask_again(service):
    patient_id = str(uuid.uuid4())
    delivery = linked(service, "medical.document-bulk-download-urls", patient_id)
    document = delivery["patients"][0]["documents"][0]
    document["url"] = document["url"].replace("X-Amz-Date=2", "X-Amz-Date=1")

    await service.deliver(samples.encode(delivery))

    (record,) = map(value, await outcome(service, "documents", patient_id))
    assert record["outcome"] == "expired"
    assert record["requestId"] == delivery["meta"]["requestId"]
    assert (record["patientId"], record["documentId"]) == (patient_id, document["id"])


async def test_a_link_into_our_own_network_is_not_followed(service):
    patient_id = str(uuid.uuid4())
    delivery = linked(service, "patient.admit", patient_id)
    delivery["payload"]["url"] = "http://169.254.169.254/latest/meta-data/?X-Amz-Date=20990101T000000Z&X-Amz-Expires=9"

    await service.deliver(samples.encode(delivery))

    (record,) = map(value, await outcome(service, "bundles", patient_id))
    assert (record["outcome"], record["reason"]) == ("failed", "address_refused")


async def test_a_consolidated_bundle_becomes_changes_states_and_a_rejection(service):
    patient_id = str(uuid.uuid4())
    delivery = linked(service, "medical.consolidated-data.whole", patient_id)

    await service.deliver(samples.encode(delivery))

    (snapshot,) = map(value, await outcome(service, "fhir.snapshots", patient_id))
    changes = await outcome(service, "fhir.changes", patient_id)
    entries = json.loads(linkserver.find("MR.json", patient_id=patient_id).body)["entry"]
    assert (snapshot["counts"]["accepted"], snapshot["counts"]["rejected"]) == (len(entries) - 1, 1)
    assert [header(change, "x-change") for change in changes] == [
        "snapshot.started",
        *["created"] * (len(entries) - 1),
        "snapshot.completed",
    ]
    resources = [entry["resource"] for entry in entries if entry["resource"]["resourceType"] != "CarePlan"]
    assert sorted(map(json.dumps, map(value, changes[1:-1]))) == sorted(map(json.dumps, resources))
    (rejected,) = await outcome(service, "fhir.rejected", patient_id)
    assert value(rejected)["resourceType"] == "OperationOutcome"
    assert header(rejected, "x-resource-type") == "CarePlan"


async def test_the_same_snapshot_again_changes_nothing(service):
    patient_id = str(uuid.uuid4())
    for _ in range(2):
        await service.deliver(samples.encode(linked(service, "medical.consolidated-data.whole", patient_id)))

    snapshots = [value(record) for record in await outcome(service, "fhir.snapshots", patient_id, 2)]

    assert snapshots[1]["counts"]["created"] == snapshots[1]["counts"]["updated"] == 0
    found = await service.read(
        "fhir.changes", *FHIR_STATES, until=lambda found: of(patient_id, found["fhir.changes"]), to_end=True
    )
    created = [change for change in of(patient_id, found["fhir.changes"]) if header(change, "x-change") == "created"]
    assert len(created) == snapshots[0]["counts"]["created"]
    held = [record for topic in FHIR_STATES for record in of(patient_id, found[topic])]
    assert {record.key for record in held} <= {
        f"{patient_id}/{header(c, 'x-resource-type')}/{header(c, 'x-identity')}".encode() for c in created
    }


async def test_a_bulk_result_becomes_rows_and_the_jobs_counts(service):
    delivery = linked(service, "medical.bulk-patient-create", "nobody")
    request_id = delivery["bulkPatientCreate"]["requestId"]

    await service.deliver(samples.encode(delivery))

    rows = [value(record) for record in await outcome(service, "bulk-patients", request_id, 3)]
    assert [(row["row"], row["status"]) for row in rows] == [(1, "successful"), (2, "failed"), (3, "failed")]
    await service.read(
        "bulk-jobs",
        until=lambda found: any(
            value(record)["counts"] == {"failed": 2, "successful": 1} for record in of(request_id, found["bulk-jobs"])
        ),
    )


async def test_the_patients_state_learns_of_documents_bundles_and_resources(service):
    patient_id = str(uuid.uuid4())
    for name in ("medical.document-bulk-download-urls", "medical.consolidated-data.whole", "patient.admit"):
        await service.deliver(samples.encode(linked(service, name, patient_id)))

    def complete(state):
        return state["documents"]["stored"] == 1 and state["bundles"]["stored"] == 2 and state["resources"]

    await service.read(
        "patients",
        until=lambda found: any(complete(value(record)) for record in of(patient_id, found["patients"])),
    )


async def test_no_link_is_in_any_log(service):
    planted = f"PLANTED{uuid.uuid4().hex}"
    patient_id = str(uuid.uuid4())
    delivery = linked(service, "patient.admit", patient_id)
    delivery["payload"]["url"] += f"&X-Amz-Security-Token={planted}"

    await service.deliver(samples.encode(delivery))

    await outcome(service, "bundles", patient_id)
    assert planted not in service.log.read_text()


@pytest.mark.parametrize(
    ("name", "topic", "content"),
    [
        ("network-query.hie", "bundles", "MR.json"),
        ("network-query.hie.first-data-ready", "bundles", "MR.json"),
        ("patient.pharmacy", "bundles", "medication-dispense.json"),
        ("patient.laboratory", "bundles", "laboratory-report.json"),
        ("medical.discharge-summary", "bundles", "discharge-summary.json"),
        ("medical.document-bulk-download-paged", "documents", "doc.xml"),
    ],
)
async def test_what_todays_messages_link_to_is_stored_byte_for_byte(service, name, topic, content):
    patient_id = str(uuid.uuid4())

    await service.deliver(samples.encode(linked(service, name, patient_id)))

    (record,) = map(value, await outcome(service, topic, patient_id))
    served = linkserver.find(content, patient_id=patient_id).body
    assert (record["outcome"], record["sha256"]) == ("stored", hashlib.sha256(served).hexdigest())
    assert (Path(service.folder) / "blobs" / record["blob"]).read_bytes() == served


async def test_a_network_query_that_failed_is_a_record_and_nothing_is_fetched(service):
    patient_id = str(uuid.uuid4())

    await service.deliver(samples.encode(linked(service, "network-query.lab.failed", patient_id)))

    (record,) = map(value, await outcome(service, "bundles", patient_id))
    assert (record["outcome"], record["reason"], record["blob"]) == ("failed", "source_failed", None)


async def test_links_that_come_in_pages_are_fetched_once_each_whatever_the_order(service):
    patient_id = str(uuid.uuid4())
    pages = list(_pages(service, patient_id, pages=7, documents=650))
    sent = [*pages, pages[2], pages[5]]
    random.Random(650).shuffle(sent)

    for page in sent:
        await service.deliver(samples.encode(page))

    documents = map(value, await outcome(service, "documents", patient_id, count=650))
    found = await service.settled(patient_id, "documents", "patients")
    state = value(found["patients"][-1])["messages"]["medical.document-bulk-download-paged"]
    assert sorted(document["documentId"] for document in documents) == [f"d-{number:03}" for number in range(650)]
    assert len(found["documents"]) == 650
    assert state["pages"] == {"seen": 7, "total": 7}


async def test_links_of_a_type_that_nobody_knows_are_kept_while_they_live(service):
    patient_id = str(uuid.uuid4())
    delivery = linked(service, "medical.document-bulk-download-urls", patient_id)
    (document,) = delivery.pop("patients")[0]["documents"]
    for _ in range(10):
        document = {"in": [document]}
    delivery["meta"]["type"] = "tomorrow.type"
    page, elsewhere = "https://example.com/page", "https://example.com/x?X-Amz-Date=20990101T000000Z&X-Amz-Expires=600"
    delivery["payload"] = {"patientId": patient_id, "page": page, "elsewhere": elsewhere, "deep": document}

    await service.deliver(samples.encode(delivery))

    records = [value(record) for record in await outcome(service, "documents", patient_id, count=3)]
    (unrecognised,) = await outcome(service, "unrecognised", patient_id)
    by_path = {record["path"]: (record["outcome"], record["reason"], record["type"]) for record in records}
    assert by_path == {
        "$['payload']['page']": ("failed", "not_signed", "unrecognised"),
        "$['payload']['elsewhere']": ("failed", "address_refused", "unrecognised"),
        "$['payload']['deep']" + "['in'][0]" * 10 + "['url']": ("stored", None, "unrecognised"),
    }
    assert unrecognised.value == samples.encode(delivery)


def _pages(service, patient_id, *, pages, documents):
    template = linked(service, "medical.document-bulk-download-paged", patient_id)
    (document,) = template["patients"][0]["documents"]
    size = -(-documents // pages)
    for page in range(pages):
        delivery = json.loads(json.dumps(template))
        delivery["meta"]["messageId"] = str(uuid.uuid4())
        numbers = range(page * size, min((page + 1) * size, documents))
        delivery["patients"][0] |= {
            "documents": [document | {"id": f"d-{number:03}"} for number in numbers],
            "pagination": {"page": page + 1, "totalPages": pages, "totalItems": documents},
        }
        yield delivery
