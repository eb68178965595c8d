"""The commands that post and show, against the running service."""

import json
import uuid
from datetime import UTC, datetime

import pytest

from models import headers, samples
from tests.journeys.conftest import command, linked, value

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_demo_shows_that_everything_arrived(kafka):
    code, output, _ = await command(
        "demo", "--once", environment={"KAFKA_BOOTSTRAP_SERVERS": kafka, "TOPIC_REPLICATION": "1"}
    )

    assert code == 0
    assert "One patient's state" in output


async def test_triggered_deliveries_are_messages_of_their_own(service):
    patient_id = str(uuid.uuid4())

    code, output, _ = await command(
        "trigger",
        "patient.admit",
        "--count",
        "20",
        "--set",
        f"payload.patientId={patient_id}",
        "--json",
        environment=service.environment,
    )

    assert code == 0
    assert json.loads(output)["statuses"] == {"200": 20}
    found = await service.settled(patient_id, "patient.admit")
    assert len({value(record)["messageId"] for record in found["patient.admit"]}) == 20


async def test_a_wrong_key_is_said_as_a_refusal(service):
    code, output, _ = await command(
        "trigger", "patient.admit", environment=service.environment | {"METRIPORT_WEBHOOK_KEYS": "wh-key_not_this_one"}
    )

    assert code == 1
    assert "1 x 401" in output


async def test_an_ingress_that_is_not_there_is_said_with_its_address(service):
    code, _, problems = await command(
        "trigger", "patient.admit", "--url", "http://127.0.0.1:1/x", environment=service.environment
    )

    assert code == 3
    assert "http://127.0.0.1:1/x" in problems


async def test_printing_posts_nothing_and_needs_no_key():
    code, output, _ = await command("trigger", "ping", "--print", environment={"METRIPORT_WEBHOOK_KEYS": ""})

    assert code == 0
    assert json.loads(output)["meta"]["type"] == "ping"


async def test_a_patients_state_can_be_shown(service):
    patient_id = str(uuid.uuid4())
    await command(
        "trigger", "patient.admit", "--set", f"payload.patientId={patient_id}", environment=service.environment
    )
    await service.settled(patient_id, "patients")

    code, output, _ = await command("patient", "show", patient_id, "--json", environment=service.environment)

    assert code == 0
    assert json.loads(output)["patientId"] == patient_id


async def test_a_patient_nobody_knows_is_said_without_the_id(service):
    code, _, problems = await command("patient", "show", "planted-id", environment=service.environment)

    assert code == 1
    assert "planted-id" not in problems


async def test_a_patients_state_as_of_now_is_the_state_and_before_the_first_delivery_there_is_none(service):
    patient_id = str(uuid.uuid4())
    before = headers.timestamp(datetime.now(UTC))
    for name in ("medical.document-bulk-download-urls", "medical.consolidated-data.whole", "patient.admit"):
        await service.deliver(samples.encode(linked(service, name, patient_id)))
    repeated = samples.encode(linked(service, "patient.discharge", patient_id))
    await service.deliver(repeated)
    await service.deliver(repeated)
    await service.settled(patient_id, "patients")
    await service.read(
        "patients",
        until=lambda found: any(
            value(record)["documents"]["stored"] and value(record)["resources"]
            for record in found["patients"]
            if record.key == patient_id.encode()
        ),
    )
    _, shown, _ = await command("patient", "show", patient_id, "--json", environment=service.environment)

    _, now, told = await command("patient", "show", patient_id, "--at", "0s", "--json", environment=service.environment)
    code, none, _ = await command("patient", "show", patient_id, "--at", before, environment=service.environment)

    state = json.loads(now)
    assert state.pop("asOf")["records"] > 5
    assert state == json.loads(shown)
    assert "made anew" in told
    assert (code, none) == (1, "")


async def test_a_bulk_create_is_shown_with_its_rows(service):
    request_id = str(uuid.uuid4())
    delivery = linked(service, "medical.bulk-patient-create", request_id, requestId=request_id)
    delivery["bulkPatientCreate"]["requestId"] = request_id
    await service.deliver(samples.encode(delivery))
    await service.read(
        "bulk-jobs",
        until=lambda found: any(
            value(record).get("counts") for record in found["bulk-jobs"] if record.key == request_id.encode()
        ),
    )

    code, printed, _ = await command("bulk", "show", request_id, "--rows", "--json", environment=service.environment)

    shown = json.loads(printed)
    assert code == 0
    assert (shown["requestId"], len(shown["rows"])) == (request_id, sum(shown["counts"].values()))


async def test_a_bulk_create_nobody_knows_is_said_without_the_id(service):
    code, _, problems = await command("bulk", "show", "planted-id", environment=service.environment)

    assert (code, problems) == (1, "Nothing is known of this id.\n")
