"""What a delivery becomes, sample by sample and oddity by oddity."""

import json

import msgspec
import orjson
import pytest

from models import body, messages, samples, wire
from models.errors import Poison
from streams.deliveries.normalize import normalize
from tests.unit import contract

MODELS = {name: kind.record for name, kind in messages.TYPES.items()}
KNOWN = [name for name in samples.names() if samples.load(name)["meta"]["type"] in MODELS]
RECEIVED = "2025-10-30T12:00:01.000Z"


def normalized(delivery, index=0):
    value = normalize(body.parse(samples.encode(delivery)), index=index, received_at=RECEIVED).value
    return json.loads(value)


@pytest.mark.parametrize("name", KNOWN)
def test_every_sample_of_a_known_type_becomes_a_valid_record_of_that_type(name):
    delivery = samples.load(name)

    record = normalized(delivery)

    assert contract.differences(MODELS[delivery["meta"]["type"]], record) == []
    assert record["messageId"] == delivery["meta"]["messageId"]
    assert record["receivedAt"] == RECEIVED


@pytest.mark.parametrize("name", ["devices.health-data", "message.received"])
def test_a_type_without_a_model_is_unrecognised_and_keeps_its_bytes(name):
    found = normalize(samples.load(name), index=0, received_at=RECEIVED)

    assert (found.topic, found.value) == ("unrecognised", None)


@pytest.mark.parametrize("kind", ["patient.merge", "network-query.imaging", "network-query", "message.read", "patient"])
def test_a_type_invented_tomorrow_is_not_mistaken_for_one_of_todays(kind):
    delivery = samples.load("patient.admit")
    delivery["meta"]["type"] = kind

    assert normalize(delivery, index=0, received_at=RECEIVED).topic == "unrecognised"


def test_the_status_of_a_network_query_is_its_sources():
    record = normalized(samples.load("network-query.lab.failed"))

    assert (record["status"], record["source"]["source"]) == ("failed", "quest")


@pytest.mark.parametrize(
    ("size", "expected"),
    [(173440, 173440), ("173440", 173440), (173440.0, 173440), ("", None), ("12 KB", None), (None, None), (True, None)],
)
def test_a_size_is_an_integer_however_it_was_sent(size, expected):
    delivery = samples.load("medical.document-download")
    delivery["patients"][0]["documents"][0]["size"] = size

    record = normalized(delivery)

    assert record["documents"][0]["size"] == expected


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ("Encounter, Observation", ["Encounter", "Observation"]),
        ("A,B", ["A", "B"]),
        ("", []),
        (["A"], ["A"]),
        (None, []),
    ],
)
def test_the_resources_of_a_filter_are_a_list_however_they_were_sent(resources, expected):
    delivery = samples.load("medical.consolidated-data")
    delivery["patients"][0]["filters"]["resources"] = resources

    record = normalized(delivery)

    assert record["filters"]["resources"] == expected


def test_an_unset_date_is_null():
    record = normalized(samples.load("medical.consolidated-data"))

    assert record["filters"]["dateFrom"] is None


@pytest.mark.parametrize("size", [10**400, 2**63, -1, 1e308, "9" * 19, True, [], "much"])
def test_a_size_that_no_document_has_costs_no_more_than_itself(size):
    delivery = samples.load("medical.document-download")
    delivery["patients"][0]["documents"][0]["size"] = size

    record = normalized(delivery)

    assert record["documents"][0]["size"] is None
    assert record["documents"][0]["id"]


def test_documents_that_were_not_told_are_null_and_none_is_an_empty_list():
    told = [normalized(samples.load(f"medical.document-download.{name}"))["documents"] for name in ("failed", "none")]

    assert told == [None, []]


def test_a_field_that_metriport_adds_later_is_passed_on_exactly():
    delivery = samples.load("medical.document-conversion")
    delivery["patients"][0]["truncatedGzipKey"] = {"n": 2**64, "s": "Zoë-日本"}

    record = normalized(delivery)

    assert record["truncatedGzipKey"] == {"n": 2**64, "s": "Zoë-日本"}


def test_a_patients_entry_cannot_overwrite_what_the_delivery_says_of_itself():
    delivery = samples.load("medical.document-conversion")
    delivery["patients"][0] |= {"messageId": "other", "type": "document-conversion", "requestId": "other"}

    record = normalized(delivery)

    assert record["messageId"] == delivery["meta"]["messageId"]
    assert record["type"] == "medical.document-conversion"
    assert record["requestId"] == delivery["meta"]["requestId"]


@pytest.mark.parametrize("field", sorted(set(wire.AdtPayload.model_fields) - {"patient_id"}))
def test_an_admission_that_lacks_any_optional_field_is_still_a_record(field):
    delivery = samples.load("patient.transfer")
    delivery["payload"].pop(wire.AdtPayload.model_fields[field].alias, None)

    record = normalized(delivery)

    assert record["patientId"] == delivery["payload"]["patientId"]


def test_each_entry_of_patients_becomes_a_record_of_its_own():
    delivery = samples.load("medical.document-conversion")
    delivery["patients"].append(delivery["patients"][0] | {"patientId": "second"})

    patients = [normalized(delivery, index)["patientId"] for index in (0, 1)]

    assert patients == [delivery["patients"][0]["patientId"], "second"]


def _without(delivery, *path):
    part = delivery
    for step in path[:-1]:
        part = part[step]
    del part[path[-1]]
    return samples.encode(delivery)


CONVERSION = samples.load("medical.document-conversion")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"", "not_json", id="empty"),
        pytest.param(b"\xff", "not_json", id="bad-utf-8"),
        pytest.param(b"\xef\xbb\xbf{}", "not_json", id="byte-order-mark"),
        pytest.param(b'{"a":NaN}', "no_meta", id="nan"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", "no_meta", id="5000-digits"),
        pytest.param(b"[" * 10_000 + b"]" * 10_000, "not_an_object", id="10000-deep"),
        pytest.param(b"[]", "not_an_object", id="list"),
        pytest.param(b"1", "not_an_object", id="number"),
        pytest.param(b"{}", "no_meta", id="no-meta"),
        pytest.param(b'{"meta":[]}', "no_meta", id="meta-a-list"),
        pytest.param(b'{"meta":{"messageId":"a","messageId":"b","type":"t"}}', "ambiguous", id="two-message-ids"),
        pytest.param(b'{"meta":{"messageId":"a","type":1}}', "no_type", id="type-a-number"),
        pytest.param(_without(samples.load("patient.admit"), "meta", "messageId"), "no_message_id", id="no-message-id"),
        pytest.param(_without(samples.load("patient.admit"), "payload", "patientId"), "no_patient", id="no-patient"),
        pytest.param(_without(samples.load("patient.admit"), "payload"), "no_patient", id="no-payload"),
        pytest.param(samples.encode(CONVERSION | {"patients": []}), "no_patient", id="no-patients"),
        pytest.param(
            samples.encode(samples.load("medical.bulk-patient-create") | {"bulkPatientCreate": {}}),
            "unknown_shape",
            id="job-without-request-id",
        ),
    ],
)
def test_what_cannot_be_mapped_has_a_reason(raw, reason):
    with pytest.raises(Poison) as caught:
        normalize(body.parse(raw), index=0, received_at=RECEIVED)

    assert caught.value.reason == reason


def test_a_body_kept_in_one_piece_for_many_patients_is_quarantined():
    delivery = samples.load("medical.document-conversion")
    delivery["patients"] *= 2

    with pytest.raises(Poison) as caught:
        normalize(delivery, index=None, received_at=RECEIVED)

    assert caught.value.reason == "too_many_patients"


@pytest.mark.parametrize(
    "data",
    [
        rb'{"a":"cut \ud83d"}',
        b'{"a":NaN}',
        b'{"a":' + b"[" * 1500 + b"]" * 1500 + b"}",
        b'{"a":%d}' % 2**70,
        b'{"a":1e999}',
    ],
    ids=["half a character", "NaN", "deep", "70 bits", "huge"],
)
@pytest.mark.parametrize("name", ["patient.admit", "medical.consolidated-data"])
def test_a_record_with_odd_metadata_is_one_that_every_reader_takes(data, name):
    delivery = samples.load(name)
    delivery["meta"]["data"] = "HERE"
    raw = samples.encode(delivery).replace(b'"HERE"', data)

    value = normalize(body.parse(raw), index=0, received_at=RECEIVED).value

    assert MODELS[name].model_validate_json(value).metadata is not None
    orjson.loads(value)
    assert msgspec.json.decode(value)["metadata"].keys() == {"a"}
    if b"1180" in data:
        assert data in value
