"""What a newer version wrote is read by this one, and what this one does not know of it is carried on."""

import json

import pytest

from models import moments, records, topics
from models.messages import BULK_PATIENT_CREATE
from streams.engine.log.source_header import Sequencer
from streams.engine.work.plan import plan_batch
from streams.links import link as codec
from streams.patients.job import PatientsJob
from tests.unit import contract
from tests.unit.bundles.stage import DECISIONS, LocalValidator, SourceRecord, Stage, observation
from tests.unit.engine.fakes import Record
from tests.unit.links.stage import running

INVENTED = {"invented": {"by": "a newer version"}}
TOLD = {"messageId": "m-2", "when": "2025-10-30T13:00:00.000Z", "receivedAt": "2025-10-30T13:00:01.000Z"}
OF_PATIENT = TOLD | {"patientId": "p", "requestId": "r", "status": "completed"}
OF_ROW = TOLD | {"requestId": "r", "row": 1, "status": "failed"}
DOCUMENT = TOLD | {"patientId": "p", "documentId": "d", "outcome": "stored"}
STATES = [
    pytest.param(b"p/p", {"patientId": "p"}, "patient.admit", OF_PATIENT, id="patient"),
    pytest.param(
        b"p/p", {"patientId": "p", "documents": {"failed": 1} | INVENTED}, topics.DOCUMENTS, DOCUMENT, id="counts"
    ),
    pytest.param(
        b"q/p/r",
        {"patientId": "p", "requestId": "r", "kind": "network-query", "messages": {}, "sources": {}},
        "network-query.hie",
        OF_PATIENT,
        id="request",
    ),
    pytest.param(b"j/r", {"requestId": "r"}, BULK_PATIENT_CREATE, OF_PATIENT, id="bulk create"),
    pytest.param(b"j/r", {"requestId": "r"}, topics.BULK_PATIENTS, OF_ROW, id="row"),
]


@pytest.mark.parametrize(("key", "state", "topic", "record"), STATES)
def test_a_state_with_a_field_that_is_not_known_keeps_it_through_the_next_change(key, state, topic, record):
    known = {key: json.dumps(state | INVENTED).encode()}

    plan = plan_batch(
        PatientsJob(""),
        [Record(0, json.dumps(record | INVENTED).encode(), topic=topic)],
        read=lambda keys: [known.get(each) for each in keys],
        sequencer=Sequencer("in", 0, {}),
        record_bytes_max=2**20,
    )

    after = json.loads(plan.changes[key])
    assert plan.poison == []
    assert after["invented"] == INVENTED["invented"]
    assert after.get("documents", INVENTED)["invented"] == INVENTED["invented"]
    assert not any(b"invented" in output.value for outputs in plan.outputs.values() for output in outputs)


async def test_a_link_that_a_newer_version_listed_becomes_its_record_with_what_is_not_known_here():
    link = codec.Link(
        id="m/0/document/0",
        kind="document",
        urls=(),
        key="p-1",
        source="metriport.x/0/7",
        index=0,
        order=7,
        deadline=moments.of_ms(0),
        expects="unknown",
        record={"messageId": "m", "type": "x", "documentId": "d-1"} | INVENTED,
        early=codec.EarlyOutcome("failed", "invented_reason"),
    )
    listed = json.dumps(json.loads(codec.encode(link)) | INVENTED).encode()

    def fetch(link):
        return codec.Outcome(link.early.outcome, link.early.reason)

    async with running(fetch, listed=[(codec.state_key(link), listed)]) as stage:
        await stage.settled()

        assert stage.fatal() == []
        assert stage.reasons() == []
        (found,) = stage.found("documents")
        assert (found["documentId"], found["reason"]) == ("d-1", "invented_reason")
        assert found["invented"] == INVENTED["invented"]
    # What another version promised is not what this one does.
    assert set(contract.BREACHES) == {"documents: invented is not declared"}
    contract.BREACHES.clear()


RECORDS = [
    records.Document(message_id="m", type="x", outcome="failed", reason="timed_out"),
    records.Bundle(message_id="m", type="x", outcome="failed", reason="timed_out", kind="consolidated", complete=True),
    records.Held(
        patient_id="p", holds=[records.Hold(snapshot_id="s", count=1, by_type={"Patient": 1}, resources=["Patient/p"])]
    ),
    records.RemovalDecision(decision_id="d", patient_id="p", snapshot_id="s", action="apply", decided_at="2025-01-01"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_with_a_field_and_a_reason_that_are_not_known_is_read_and_written_again_with_them(record):
    value = record.model_dump(by_alias=True) | INVENTED
    value |= {"reason": "invented_reason"} if "reason" in value else {}

    assert type(record).model_validate_json(json.dumps(value)).model_dump(by_alias=True) == value


@pytest.fixture
def stage(tmp_path):
    return Stage(LocalValidator(), tmp_path)


def test_a_bundle_with_a_field_that_is_not_known_is_processed(stage):
    outputs = stage.deliver([observation(1)], **INVENTED)

    assert outputs.changes() == [("created", "Observation", "o-1")]


def test_a_decision_of_a_kind_that_is_not_known_is_left_to_the_version_that_knows_it(stage):
    value = json.dumps({"decision": "invented", **INVENTED}).encode()

    assert stage.deliver_record(SourceRecord(value, 0, topic=DECISIONS)) == []
