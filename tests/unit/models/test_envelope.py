"""What the door finds in a body: ids and keys, never an exception."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import envelope, samples

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=True) | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.sampled_from(["meta", "patients", "ping", "x"]), children),
)


@pytest.mark.parametrize("name", [name for name in samples.names() if "patients" in samples.load(name)])
def test_a_delivery_about_a_patient_is_keyed_by_the_patient(name):
    delivery = samples.load(name)

    found = envelope.read(samples.encode(delivery))

    assert found.keys() == (delivery["patients"][0]["patientId"].encode(),)
    assert found.message_id == delivery["meta"]["messageId"]


def test_a_delivery_about_several_patients_has_a_key_for_each():
    delivery = samples.load("medical.document-conversion") | {"patients": [{"patientId": "a"}, {"patientId": "b"}, {}]}

    found = envelope.read(samples.encode(delivery))

    assert found.keys() == (b"a", b"b", delivery["meta"]["messageId"].encode())


@pytest.mark.parametrize(
    ("body", "key"),
    [
        pytest.param(b'{"payload":{"patientId":"p"},"meta":{"messageId":"m"}}', b"p", id="payload"),
        pytest.param(b'{"bulkPatientCreate":{"requestId":"r"},"meta":{"messageId":"m"}}', b"r", id="bulk-job"),
        pytest.param(b'{"users":[{},{"userId":"u"}],"meta":{"messageId":"m"}}', b"u", id="user"),
        pytest.param(b'{"meta":{"messageId":"m"}}', b"m", id="message-id"),
        pytest.param(b'{"meta":{"messageId":"m"},"payload":7,"users":{},"patients":"x"}', b"m", id="odd-parts"),
        pytest.param(b"not json", None, id="not-json"),
    ],
)
def test_the_key_is_the_nearest_id_there_is(body, key):
    assert envelope.read(body).keys() == (key,)


def test_a_key_is_never_longer_than_a_key_may_be():
    body = json.dumps({"payload": {"patientId": "p" * 100_000}}).encode()

    (key,) = envelope.read(body).keys()

    assert len(key) <= envelope.KEY_BYTES_MAX


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"meta":{"type":"ping"},"ping":"x"}', id="as sent today"),
        pytest.param(b'{"ping":"x"}', id="as sent by older senders"),
        pytest.param(b'{"meta":{"messageId":"m","when":"2025-10-30","data":{}},"ping":"x"}', id="without a type"),
        pytest.param(b'{"meta":7,"ping":"x"}', id="beside an odd meta"),
    ],
)
def test_a_ping_alone_is_a_ping(body):
    assert envelope.read(body).ping == "x"


@pytest.mark.parametrize(
    "more",
    [
        {"patients": [{"patientId": "p"}]},
        {"patients": []},
        {"patients": {"patientId": "p"}},
        {"payload": {"patientId": "p"}},
        {"payload": {"weight": 80}},
        {"users": [{"userId": "u"}]},
        {"bulkPatientCreate": {"requestId": "r"}},
        {"job": {"id": "j"}},
        {"data": None},
        {"anything": 1},
        {"a name cut inside an emoji \ud83d": 1},
        {"meta": {"type": "patient.admit"}},
        {"ping": 1},
        {"ping": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("meta", [{"type": "ping"}, {}], ids=["typed", "untyped"])
def test_what_holds_anything_beside_a_ping_is_a_delivery(meta, more):
    assert envelope.read(json.dumps({"meta": meta, "ping": "x"} | more).encode()).ping is None


@given(JSON)
def test_any_json_is_read_without_an_exception(value):
    envelope.read(json.dumps(value).encode())


@given(st.binary())
def test_any_bytes_are_read_without_an_exception(body):
    envelope.read(body)
