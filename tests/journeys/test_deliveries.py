"""From a signed webhook to the topic of its type."""

import asyncio
import json
import uuid

import pytest

from models import samples, topics
from tests.journeys.conftest import KEYS, about, header, value

pytestmark = pytest.mark.asyncio(loop_scope="session")  # the service's processes live in the session's loop

TYPES = (*topics.DELIVERY_TYPES, topics.UNRECOGNISED)
OF_A_PATIENT = [name for name in samples.names() if b"patientId" in samples.encode(samples.load(name))]


def becomes(delivery):
    kind = delivery["meta"]["type"]
    return kind if kind in topics.DELIVERY_TYPES else topics.UNRECOGNISED


@pytest.mark.parametrize("name", OF_A_PATIENT)
async def test_every_sample_becomes_exactly_one_record_of_its_type(service, name):
    patient_id = str(uuid.uuid4())
    delivery = about(name, patient_id)
    body = samples.encode(delivery)

    status, answer = await service.deliver(body)

    assert (status, answer) == (200, {})
    found = await service.settled(patient_id, "webhooks", *TYPES)
    assert [record.value for record in found["webhooks"]][:1] == [body]
    assert {topic: len(found[topic]) for topic in TYPES if found[topic]} == {becomes(delivery): 1}
    record = found[becomes(delivery)][0]
    assert header(record, "x-message-id") == delivery["meta"]["messageId"]
    assert header(record, "ce_type") == delivery["meta"]["type"]
    assert header(record, "x-source").startswith(f"{service.prefix}webhooks/{record.partition}/")


@pytest.mark.parametrize("name", ["medical.bulk-patient-create", "medical.bulk-patient-create.processing"])
async def test_a_bulk_job_is_keyed_by_its_request(service, name):
    delivery = about(name, "nobody")
    request_id = delivery["bulkPatientCreate"]["requestId"] = str(uuid.uuid4())

    status, _ = await service.deliver(samples.encode(delivery))

    assert status == 200
    await service.read(
        "medical.bulk-patient-create",
        "bulk-jobs",
        until=lambda found: all(request_id.encode() in {record.key for record in found[topic]} for topic in found),
    )


async def test_a_delivery_about_two_patients_becomes_a_record_for_each(service):
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    delivery = about("medical.document-download", first)
    delivery["patients"].append(delivery["patients"][0] | {"patientId": second})

    status, _ = await service.deliver(samples.encode(delivery))

    assert status == 200
    found = [await service.settled(patient, "medical.document-download") for patient in (first, second)]
    assert [[value(r)["patientId"] for r in each["medical.document-download"]] for each in found] == [[first], [second]]


async def test_a_ping_is_answered_with_its_pong(service):
    assert await service.deliver(samples.encode(samples.load("ping"))) == (200, {"pong": samples.load("ping")["ping"]})


async def test_both_keys_are_accepted_while_they_are_rotated(service):
    answers = [await service.deliver(samples.encode(samples.load("ping")), key=key) for key in KEYS]

    assert [status for status, _ in answers] == [200, 200]


async def test_fifty_copies_and_retries_after_a_restart_become_one_record(service):
    patient_id = str(uuid.uuid4())
    delivery = about("medical.document-download", patient_id)
    body = samples.encode(delivery)
    earlier = await service.metric("deliveries", "metriport_deliveries_duplicate_total")
    await asyncio.gather(*(service.deliver(body) for _ in range(50)))
    before = await service.settled(patient_id, "webhooks", "medical.document-download", "patients")
    counted = await service.metric("deliveries", "metriport_deliveries_duplicate_total")
    await service.stop_worker()
    await service.start_worker()
    retried = {"patients": delivery["patients"], "meta": {k: v for k, v in delivery["meta"].items() if k != "data"}}

    statuses = [await service.deliver(body), await service.deliver(samples.encode(retried))]

    assert [status for status, _ in statuses] == [200, 200]
    after = await service.settled(patient_id, "medical.document-download", "patients")
    assert len(before["medical.document-download"]) == len(after["medical.document-download"]) == 1
    # One whose acknowledgement was late went through the spool, too, and is there once more.
    assert counted - earlier == len(before["webhooks"]) - 1 >= 49
    assert await service.metric("deliveries", "metriport_deliveries_duplicate_total") == 2
    states = [value(record) for record in (before["patients"][0], after["patients"][-1])]
    assert [state["metadata"] for state in states] == [delivery["meta"]["data"]] * 2
    assert states[0]["messages"]["medical.document-download"] == states[1]["messages"]["medical.document-download"]


UNMAPPABLE = [
    pytest.param(b"not json", "not_json", id="not-json"),
    pytest.param(b"[1]", "not_an_object", id="not-an-object"),
    pytest.param(b'{"x":1}', "no_meta", id="no-meta"),
    pytest.param(b'{"meta":{"messageId":"?","type":7}}', "no_type", id="type-a-number"),
    pytest.param(b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "no_meta", id="10000-deep"),
    pytest.param(b'{"meta":{"messageId":"?","messageId":"b","type":"t"}}', "ambiguous", id="two-message-ids"),
    pytest.param(b'{"meta":{"messageId":"?","type":"patient.admit"},"x":NaN}', "no_patient", id="nan"),
    pytest.param(b'{"meta":{"messageId":"?","type":"patient.admit"}}', "no_patient", id="no-patient"),
]


@pytest.mark.parametrize(("body", "reason"), UNMAPPABLE)
async def test_a_signed_body_nobody_can_map_is_kept_with_its_bytes_and_a_reason(service, body, reason):
    body = body.replace(b"?", uuid.uuid4().hex.encode()) + b" " * int(uuid.uuid4().int % 1000)

    status, answer = await service.deliver(body)

    assert (status, answer) == (200, {})
    found = await service.read(
        "quarantine.deliveries", until=lambda found: body in {r.value for r in found["quarantine.deliveries"]}
    )
    record = next(r for r in found["quarantine.deliveries"] if r.value == body)
    assert header(record, "x-quarantine-reason") == reason
    assert header(record, "x-quarantine-topic") == f"{service.prefix}webhooks"
    assert header(record, "x-quarantine-partition") == str(record.partition)


@pytest.mark.parametrize(("number", "shown"), [(2**64, str(2**64)), (2**53 + 1, str(2**53 + 1))])
async def test_a_large_number_is_passed_on_exactly(service, number, shown):
    patient_id = str(uuid.uuid4())
    delivery = about("patient.admit", patient_id)
    delivery["payload"]["visitNumber"] = number

    await service.deliver(samples.encode(delivery))

    (record,) = (await service.settled(patient_id, "patient.admit"))["patient.admit"]
    assert f'"visitNumber":{shown}'.encode() in record.value


async def test_nothing_of_a_body_or_a_link_is_in_the_log(service):
    planted = f"PLANTED{uuid.uuid4().hex}"
    delivery = about("medical.document-bulk-download-urls", planted)
    delivery["patients"][0]["externalId"] = planted
    delivery["patients"][0]["documents"][0]["url"] += planted
    await service.deliver(samples.encode(delivery))
    await service.deliver(json.dumps({"meta": planted}).encode())
    await service.deliver(samples.encode(delivery), headers={"x-metriport-signature": planted})

    await service.settled(planted, "patients")

    assert planted not in service.log.read_text()


async def test_patients_state_is_compacted_to_what_all_messages_say(service):
    patient_id = str(uuid.uuid4())
    for name in ("patient.admit", "patient.transfer", "patient.discharge"):
        await service.deliver(samples.encode(about(name, patient_id)))

    found = await service.read(
        "patients",
        until=lambda found: any(
            record.key == patient_id.encode() and len(value(record)["messages"]) == 3 for record in found["patients"]
        ),
    )

    (stay,) = value([record for record in found["patients"] if record.key == patient_id.encode()][-1])["encounters"]
    assert stay["admit"] == samples.load("patient.admit")["payload"]["admitTimestamp"]
    assert stay["discharge"] == samples.load("patient.discharge")["payload"]["dischargeTimestamp"]
    assert stay["transfers"] == samples.load("patient.transfer")["payload"]["transfers"]


async def test_what_is_read_is_published_quarantined_or_a_duplicate(service):
    body = samples.encode(about("patient.admit", patient_id := str(uuid.uuid4())))
    for each in (body, body, b"not json"):
        await service.deliver(each)
    await service.settled(patient_id, "patient.admit")

    names = ("records_read", "records_published", "records_quarantined", "deliveries_duplicate")
    async with asyncio.timeout(30):
        while True:
            read, *became = [
                await service.metric("deliveries", f"metriport_{name}_total", aside='.drift"') for name in names
            ]
            if read == sum(became):
                break

    assert became[-1] >= 1
