"""The commands that post and show, against the running service."""

import json
import uuid

import pytest

from tests.journeys.conftest import command, value

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
