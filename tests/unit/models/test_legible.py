r"""Bodies that no strict reader takes: what of them can be known is found, by the ingress and the next stage alike."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import body, envelope
from models.errors import Poison
from models.legible import BYTES_MAX, DEPTH_MAX, legible

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def delivery(data: bytes, patient: bytes = b'"p"') -> bytes:
    meta = b'{"messageId":"m","type":"patient.admit","when":"2025-10-30T12:00:00.000Z","data":' + data + b"}"
    return b'{"meta":' + meta + b',"payload":{"patientId":' + patient + b"}}"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (rb'{"a":"cut \ud83d"}', {"a": r"cut \ud83d"}),
        (rb'{"a":"cut \uDE00 and \ud83d\ude00"}', {"a": "cut \\uDE00 and \U0001f600"}),
        (rb'{"a":"not \\ud83d cut"}', {"a": r"not \ud83d cut"}),
        (rb'{"\ud83d":"name"}', {r"\ud83d": "name"}),
        (b'{"a":NaN,"b":-Infinity,"c":[Infinity]}', {"a": None, "b": None, "c": [None]}),
        (b'{"a":"NaN, -Infinity and [[["}', {"a": "NaN, -Infinity and [[["}),
        (b'{"a":1,"deep":' + b"[" * 1500 + b"]" * 1500 + b',"b":2}', "deep"),
        (b'{"a":' + b"9" * 5000 + b"}", {"a": None}),
        (b'{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'{"a":1e999}', {"a": None}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'{"x":{"a":1,"a":2}}', {"x": {"a": 2}}),
    ],
    ids=range(12),
)
def test_what_is_odd_in_the_metadata_costs_no_more_than_itself(data, expected):
    raw = delivery(data)

    read = body.parse(raw)

    found = read["meta"]["data"]
    if expected == "deep":
        assert (found["a"], found["b"]) == (1, 2)
        assert json.dumps(found).count("[") <= DEPTH_MAX
    else:
        assert found == expected
    assert read["payload"] == {"patientId": "p"}
    assert envelope.read(raw).patient_ids == ("p",)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"meta":{"messageId":"m","messageId":"n","type":"patient.admit"},"payload":{"patientId":"p"}}',
        b'{"meta":{"messageId":"m","type":"patient.admit"},"payload":{"patientId":"p","patientId":"q"}}',
        b'{"meta":{"messageId":"m","type":"t","data":{}},"patients":[{"patientId":"p","x":{"a":1,"a":2}}]}',
    ],
    ids=["message", "patient", "deep in a patient"],
)
def test_a_name_given_twice_where_it_is_understood_makes_a_body_ambiguous(raw):
    with pytest.raises(Poison, match="ambiguous"):
        body.parse(raw)


def test_two_ids_that_differ_in_half_a_character_stay_two():
    one, other = (
        body.parse(delivery(b"{}", patient))["payload"]["patientId"] for patient in (rb'"\ud83d"', rb'"\ud83e"')
    )

    assert one != other


@given(JSON)
def test_what_is_json_stays_as_it_is(value):
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        raw = text.encode("utf-8", "surrogatepass")

        assert legible(raw) == raw


@given(st.lists(st.sampled_from([b'"', b"\\", b"[", b"]", b"{", b"}", b":", b",", b"NaN", rb"\ud83d", b"1", b"a"])))
def test_whatever_comes_is_read_or_refused_with_a_reason(parts):
    raw = b"".join(parts)

    envelope.read(raw)
    with suppress(Poison):
        body.parse(raw)


@pytest.mark.parametrize("part", [b"[", b'"\\"', b'"', b"\\", rb'"\ud83d', b"{", b"9", b"NaN"])
def test_the_largest_body_that_is_looked_at_takes_a_time_in_proportion_to_its_bytes(part):
    assert legible(part * (BYTES_MAX // len(part))) is not None


def test_a_larger_body_is_left_as_it_is():
    raw = delivery(b"[" * BYTES_MAX)

    assert legible(raw) is raw
