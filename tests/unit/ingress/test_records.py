"""What one delivery becomes."""

import json

import pytest

from ingress.records import Delivery, records
from models import envelope, headers

RECEIVED_AT = "2026-01-02T03:04:05.000Z"


def become(body: bytes, *, body_bytes_max: int = 1_000_000):
    return records(Delivery(body, RECEIVED_AT), envelope.read(body), body_bytes_max=body_bytes_max)


def of_patients(count: int, **meta: object) -> bytes:
    return json.dumps(
        {
            "meta": {"messageId": "m-1", "type": "medical.document-download", **meta},
            "patients": [{"patientId": f"p-{number}"} for number in range(count)],
        }
    ).encode()


def test_a_delivery_for_one_patient_is_one_record_with_the_body_byte_for_byte(admit):
    (record,) = become(admit(patientId="p-9"))

    assert (record.key, record.value) == (b"p-9", admit(patientId="p-9"))
    assert dict(record.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"m-1/0",
        "ce_source": b"metriport-streams/ingress",
        "ce_type": b"patient.admit",
        "ce_time": b"2025-10-30T12:00:00.123Z",
        "content-type": b"application/json",
        "x-message-id": b"m-1",
        "x-received-at": RECEIVED_AT.encode(),
        "x-patient-index": b"0",
    }


def test_a_delivery_for_three_patients_is_one_record_each():
    found = become(of_patients(3))

    assert [record.key for record in found] == [b"p-0", b"p-1", b"p-2"]
    assert [headers.text(record.headers, headers.PATIENT_INDEX) for record in found] == ["0", "1", "2"]
    assert [headers.text(record.headers, headers.CE_ID) for record in found] == ["m-1/0", "m-1/1", "m-1/2"]
    assert {record.value for record in found} == {of_patients(3)}


def test_a_delivery_whose_copies_would_be_too_large_is_one_record_without_an_index():
    body = of_patients(50)

    (record,) = become(body, body_bytes_max=len(body) * 24)

    assert record.value == body
    assert headers.text(record.headers, headers.PATIENT_INDEX) is None


def test_copies_of_exactly_twice_the_limit_are_still_written():
    body = of_patients(50)

    assert len(become(body, body_bytes_max=len(body) * 25)) == 50


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"meta": 7}', b'{"meta": {"type": 7}}'])
def test_a_body_that_says_nothing_is_one_record_named_by_its_digest(body):
    (record,) = become(body)

    assert (record.key, record.value) == (None, body)
    assert headers.text(record.headers, headers.CE_ID) == f"{envelope.digest(body)}/0"
    assert headers.text(record.headers, "ce_type") == "unrecognised"
    assert headers.text(record.headers, headers.MESSAGE_ID) is None


def test_a_type_and_an_id_of_any_length_stay_out_of_the_headers():
    (record,) = become(of_patients(1, messageId="m" * 100_000, type="t" * 100_000, when="2" * 100_000))

    assert sum(len(name) + len(value) for name, value in record.headers) < 1000


@pytest.mark.parametrize(
    ("when", "time"),
    [
        pytest.param("2025-10-30T12:00:00.123Z", "2025-10-30T12:00:00.123Z", id="metriport's"),
        pytest.param("2025-10-30T14:00:00+02:00", "2025-10-30T12:00:00.000Z", id="another zone"),
        pytest.param("2025-10-30T12:00:00", RECEIVED_AT, id="no zone"),
        pytest.param("0001-01-01T00:00:00+14:00", RECEIVED_AT, id="before the first day"),
        pytest.param("yesterday", RECEIVED_AT, id="not a date"),
        pytest.param(7, RECEIVED_AT, id="a number"),
    ],
)
def test_the_events_time_is_when_metriport_says_or_else_when_it_came(when, time):
    (record,) = become(of_patients(1, when=when))

    assert headers.text(record.headers, "ce_time") == time


def test_the_same_delivery_becomes_the_same_records(admit):
    assert become(admit()) == become(admit())
