"""Deliveries made from the samples."""

from datetime import UTC, datetime

import pytest

from cli import sampling
from models import samples
from models.errors import Misconfigured

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def test_a_fresh_delivery_is_a_message_of_its_own_sent_now():
    sample = samples.load("patient.admit")

    first, second = sampling.fresh(sample, now=NOW), sampling.fresh(sample, now=NOW)

    assert len({sample["meta"]["messageId"], first["meta"]["messageId"], second["meta"]["messageId"]}) == 3
    assert first["meta"]["when"] == "2026-01-02T03:04:05.678Z"
    assert first["payload"]["patientId"] == sample["payload"]["patientId"]


def test_the_links_of_a_fresh_delivery_live_again():
    delivery = sampling.fresh(samples.load("patient.admit"), now=NOW)

    assert "X-Amz-Date=20260102T030405Z" in delivery["payload"]["url"]


def test_a_bulk_job_has_one_request_id():
    delivery = sampling.fresh(samples.load("medical.bulk-patient-create"), now=NOW)

    assert delivery["bulkPatientCreate"]["requestId"] == delivery["meta"]["requestId"]


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("patients.0.patientId=p-9", "p-9"),
        ('patients.0.patientId="9"', "9"),
        ("patients.0.patientId=9", 9),
        ("patients.0.patientId=null", None),
    ],
)
def test_a_value_is_json_or_else_text(assignment, expected):
    delivery = samples.load("medical.document-conversion")

    sampling.change(delivery, assignment)

    assert delivery["patients"][0]["patientId"] == expected


@pytest.mark.parametrize("assignment", ["patientId", "=x", "patients.7.x=1", "meta.when.deeper=1"])
def test_a_place_that_is_not_there_is_said(assignment):
    with pytest.raises(Misconfigured):
        sampling.change(samples.load("medical.document-conversion"), assignment)


def test_an_unknown_sample_is_answered_with_the_names_there_are():
    with pytest.raises(Misconfigured, match=r"patient\.admit"):
        sampling.choose("patient.admitted")
