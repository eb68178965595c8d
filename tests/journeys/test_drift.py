"""What differs from what is known: told by the running service, accepted by a command."""

import asyncio
import json
import uuid

import pytest

from models import samples
from tests.journeys.conftest import command, value

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATH = "payload.plantedField"


async def test_what_differs_is_told_in_its_topic_and_silent_once_an_operator_has_accepted_it(service):
    for _ in range(12):
        delivery = samples.load("patient.laboratory")
        delivery["meta"]["messageId"] = f"drift-{uuid.uuid4()}"
        delivery["payload"] |= {"patientId": "drift", "plantedField": "planted value"}
        assert await service.deliver(samples.encode(delivery)) == (200, {})
    found = await service.read("drift", until=lambda found: any(value(each)["count"] == 10 for each in planted(found)))

    _, listed, _ = await command("drift", "list", "--json", environment=service.environment)
    before = await service.metric("deliveries", "metriport_drift_open")
    code, _, said = await command("drift", "accept", PATH, environment=service.environment)
    again, _, _ = await command("drift", "accept", PATH, environment=service.environment)
    _, after, _ = await command("drift", "list", "--json", environment=service.environment)

    assert [value(record)["count"] for record in planted(found)] == [1, 10]
    [row] = [row for row in json.loads(listed) if row["path"] == PATH]
    assert (row["type"], row["kind"], row["count"]) == ("patient.laboratory", "unknown_field", 10)
    assert (code, again) == (0, 1)
    assert said == "1 accepted.\n"
    assert not [row for row in json.loads(after) if row["path"] == PATH]
    async with asyncio.timeout(30):
        while await service.metric("deliveries", "metriport_drift_open") >= before:
            pass
    assert "planted value" not in service.log.read_text()
    assert not any(b"planted value" in record.value for record in found["drift"])


def planted(found):
    return [record for record in found["drift"] if PATH.encode() in record.key]
