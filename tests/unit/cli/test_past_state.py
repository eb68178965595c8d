"""A patient's state as of a time, folded from what was recorded up to then."""

import json
from types import SimpleNamespace

import pytest

from cli.past_state import PastState
from models import samples

PATIENT = samples.load("patient.admit")["payload"]["patientId"]


@pytest.fixture
def past():
    return PastState("m.", PATIENT)


def webhook(delivery, *, key=PATIENT, offset=0):
    value = delivery if isinstance(delivery, bytes) else samples.encode(delivery)
    named = [("x-received-at", b"2026-01-01T00:00:00.000Z"), ("x-patient-index", b"0")]
    return SimpleNamespace(
        topic="m.webhooks", partition=0, offset=offset, timestamp=0, key=key.encode(), value=value, headers=named
    )


def test_a_delivery_counts_once_however_often_it_came(past):
    admit = samples.load("patient.admit")

    past.take(webhook(admit))
    past.take(webhook(admit, offset=1))

    assert past.records == 2
    assert past.patient["patientId"] == PATIENT
    assert len(past.patient["encounters"]) == 1


def test_what_links_led_to_counts_too(past):
    past.take(webhook(samples.load("patient.admit")))
    document = {"patientId": PATIENT, "documentId": "d-1", "messageId": "m-1", "outcome": "stored", "type": "x"}
    record = webhook(json.dumps(document).encode())
    record.topic = "m.documents"

    past.take(record)

    assert past.patient["documents"]["stored"] == 1


def test_records_of_others_change_nothing(past):
    past.take(webhook(samples.load("patient.admit"), key="somebody else"))

    assert (past.records, past.patient) == (0, None)


def test_what_cannot_be_read_is_counted_and_changes_nothing(past):
    past.take(webhook(b"{"))

    assert (past.records, past.unreadable, past.patient) == (1, 1, None)
