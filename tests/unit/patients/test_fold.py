"""A patient's state is a fold that neither order nor repetition changes."""

import copy

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import exact, states, topics
from streams.engine.log.source_header import Sequencer
from streams.engine.work.plan import plan_batch
from streams.patients import bulk_create, patient, stored
from streams.patients.job import PatientsJob
from tests.unit import contract
from tests.unit.engine.fakes import Record

TIMES = st.sampled_from(["2025-10-30T12:00:00.000Z", "2025-10-30T12:00:00+02:00", "2025-11-01", "", None, "soon"])
MESSAGES = st.sampled_from(["m1", "m2", "m3"])


def common(**more):
    return st.fixed_dictionaries(
        {
            "messageId": MESSAGES,
            "when": TIMES,
            "requestId": st.sampled_from(["r1", "r2", None]),
            "receivedAt": TIMES,
            "patientId": st.just("p"),
            "externalId": st.sampled_from([None, "e1", "e2"]),
            "metadata": st.sampled_from([None, {"a": "1"}, {"b": "2"}]),
            **more,
        }
    )


FACTS = st.one_of(
    st.tuples(
        st.sampled_from(["medical.document-download", "medical.consolidated-data"]),
        common(status=st.sampled_from(["completed", "failed", "processing", None])),
    ),
    st.tuples(
        st.sampled_from(["patient.admit", "patient.transfer", "patient.discharge"]),
        common(
            admitTimestamp=TIMES,
            dischargeTimestamp=TIMES,
            url=st.sampled_from([None, "https://h/ADT/e1/x", "https://h/ADT/e2/x"]),
            transfers=st.sampled_from(
                [None, [{"timestamp": "2025-10-31T03:10:00.000Z"}], [{"timestamp": "2025-11-01"}]]
            ),
        ),
    ),
    st.tuples(
        st.just(topics.DOCUMENTS),
        common(documentId=st.sampled_from(["d1", "d2"]), outcome=st.sampled_from(["stored", "expired", "failed"])),
    ),
    st.tuples(st.just(topics.BUNDLES), common(outcome=st.sampled_from(["stored", "expired", "failed"]))),
)


def consistent(facts):
    """One message says one thing: keep one record per topic and message, as the sender does."""
    return list(
        {(topic, record["messageId"], record.get("documentId")): (topic, record) for topic, record in facts}.values()
    )


def same_message_same_words(facts):
    """What a message says of its patient is the same in every record made from it."""
    told = {}
    for _, record in facts:
        words = told.setdefault(record["messageId"], record)
        for field in ("when", "externalId", "metadata", "receivedAt", "requestId"):
            record[field] = words[field]
    return facts


def folded(facts):
    state, items = None, {}
    for topic, record in copy.deepcopy(facts):
        state = patient.fold(state, topic, record)
        if item := patient.item_id(topic, record):
            items[item] = patient.count(state, topic, record, items.get(item))
        assert contract.differences(stored.Patient, state, is_whole=False) == []
        state = orjson.loads(orjson.dumps(state))
    return patient.published(state)


HISTORIES = st.lists(FACTS, min_size=1, max_size=8).map(consistent).map(same_message_same_words)


@given(HISTORIES, st.randoms(use_true_random=False))
def test_the_state_does_not_depend_on_the_order_of_arrival(facts, random):
    shuffled = facts[:]
    random.shuffle(shuffled)

    assert folded(shuffled) == folded(facts)


@given(HISTORIES)
def test_folding_everything_twice_changes_nothing(facts):
    assert folded([*facts, *facts]) == folded(facts)


@given(HISTORIES)
def test_what_is_published_is_a_patient_state(facts):
    assert contract.differences(states.PatientState, folded(facts)) == []


ROWS = st.one_of(
    st.tuples(
        st.just(topics.BULK_PATIENT_CREATE),
        common(requestId=st.just("r"), status=st.sampled_from(["processing", "completed", "failed"])),
    ),
    st.tuples(
        st.just(topics.BULK_PATIENTS),
        common(
            requestId=st.just("r"), row=st.integers(1, 3), status=st.sampled_from(["successful", "failed", "waiting"])
        ),
    ),
)


def folded_job(facts):
    state, rows = None, {}
    for topic, record in copy.deepcopy(facts):
        state = bulk_create.fold(state, topic, record)
        if (row := bulk_create.item_id(topic, record)) is not None:
            rows[row] = bulk_create.count(state, topic, record, rows.get(row))
        assert contract.differences(stored.BulkCreate, state, is_whole=False) == []
    return bulk_create.published(state)


@given(st.lists(ROWS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_a_bulk_jobs_state_depends_neither_on_order_nor_on_repetition(facts, random):
    facts = list({(topic, r["messageId"], r.get("row")): (topic, r) for topic, r in facts}.values())
    words = {}
    for _, record in facts:
        record["when"] = words.setdefault(record["messageId"], record["when"])
    shuffled = [*facts, *facts]
    random.shuffle(shuffled)

    assert folded_job(shuffled) == folded_job(facts)
    assert contract.differences(states.BulkJobState, folded_job(facts)) == []


def test_a_final_status_beats_processing_whenever_it_came():
    late = {"requestId": "r", "messageId": "2", "when": "2025-10-30T13:00:00Z", "status": "processing"}
    early = {"requestId": "r", "messageId": "1", "when": "2025-10-30T12:00:00Z", "status": "completed"}

    state = bulk_create.fold(
        bulk_create.fold(None, topics.BULK_PATIENT_CREATE, early), topics.BULK_PATIENT_CREATE, late
    )

    assert bulk_create.published(state)["status"] == "completed"


def test_a_message_without_metadata_does_not_take_what_was_told_away():
    told = {"patientId": "p", "messageId": "1", "when": "2025-10-30T12:00:00Z", "metadata": {"tenant": "t"}}
    silent = {"patientId": "p", "messageId": "2", "when": "2025-10-30T13:00:00Z", "metadata": None}

    state = patient.fold(patient.fold(None, "patient.admit", told), "patient.admit", silent)

    assert patient.published(state)["metadata"] == {"tenant": "t"}


def test_an_admission_a_transfer_and_a_discharge_of_one_stay_are_one_encounter():
    url = "https://h/cx/pt/ADT/5c0c/encounter.hl7.json?versionId=1"
    base = {"patientId": "p", "url": url, "admitTimestamp": "2025-10-30T16:20:00.000Z"}
    move = {"timestamp": "2025-10-31T03:10:00.000Z"}
    told = [
        ("patient.discharge", base | {"messageId": "3", "when": "3", "dischargeTimestamp": "2025-11-02T18:05:00.000Z"}),
        ("patient.admit", base | {"messageId": "1", "when": "1"}),
        ("patient.transfer", base | {"messageId": "2", "when": "2", "transfers": [move]}),
    ]

    state = folded(told)

    assert state["encounters"] == [
        {"admit": "2025-10-30T16:20:00.000Z", "transfers": [move], "discharge": "2025-11-02T18:05:00.000Z"}
    ]


@pytest.mark.parametrize("topic", ["patient.pharmacy", "patient.laboratory", "patient.merge"])
def test_only_what_the_table_of_messages_calls_a_stay_is_an_encounter(topic):
    told = {"patientId": "p", "messageId": "1", "when": "1", "admitTimestamp": "2025-10-30T16:20:00.000Z"}

    assert folded([(topic, told)])["encounters"] == []


ODD = st.sampled_from(
    [None, 7, True, 2**70, 1.5, [], ["x"], {}, {"a": []}, "0001-01-01T00:00:00+14:00", "9999-12-31", ""]
)
ODD_PARTS = st.dictionaries(st.sampled_from(["type", "source", "status", "page", "totalPages"]), ODD)
HINTS = [
    *("messageId", "when", "requestId", "receivedAt", "externalId", "additionalIds", "metadata", "status", "url"),
    *("admitTimestamp", "dischargeTimestamp", "transfers", "kind", "complete", "snapshotId", "byType", "counts"),
    *("source", "pagination"),
]
TOPICS = [*topics.PER_PATIENT_TYPES, topics.BULK_PATIENT_CREATE, topics.FHIR_SNAPSHOTS]


@given(
    st.lists(st.tuples(st.sampled_from(TOPICS), st.dictionaries(st.sampled_from(HINTS), ODD | ODD_PARTS)), max_size=6)
)
def test_a_hint_that_is_odd_costs_the_hint_and_not_the_record(facts):
    records = [
        Record(offset, exact.dumps({"patientId": "p", **hints, "requestId": "r"}), topic=topic)
        for offset, (topic, hints) in enumerate(facts)
    ]

    plan = plan_batch(
        PatientsJob(""),
        records,
        read=lambda keys: [None for _ in keys],
        sequencer=Sequencer("in", 0, {}),
        record_bytes_max=2**20,
    )

    assert plan.poison == []
    for output in plan.outputs.get(topics.PATIENTS, ()):
        states.PatientState.model_validate_json(output.value)
    for output in plan.outputs.get(topics.BULK_JOBS, ()):
        states.BulkJobState.model_validate_json(output.value)


@pytest.mark.parametrize("number", [b"123456789012345678901234567890", b"1" + b"0" * 400, b"-" + b"9" * 4000])
def test_a_number_beyond_64_bits_stays_exact(number):
    value = b'{"patientId":"p","messageId":"m","when":"2025-10-30","metadata":{"a":%s}}' % number

    plan = plan_batch(
        PatientsJob(""),
        [Record(0, value, topic="patient.admit"), Record(1, value.replace(b'"m"', b'"n"'), topic="patient.admit")],
        read=lambda keys: [None for _ in keys],
        sequencer=Sequencer("in", 0, {}),
        record_bytes_max=2**20,
    )

    assert plan.poison == []
    assert number in plan.outputs[topics.PATIENTS][-1].value
