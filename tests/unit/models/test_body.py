"""Bodies are read the same whichever of the two parsers did it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import body
from models.errors import Poison

JSON = st.dictionaries(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
        lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    ),
)


@given(JSON, st.sampled_from([(",", ":"), (", ", ": ")]), st.booleans())
def test_any_object_is_read_as_it_was_written(value, separators, ascii_only):
    raw = json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")

    assert body.parse(raw) == json.loads(raw)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"a":1,"a":1}', id="top"),
        pytest.param(b'{"b":[{"a":1,"a":2}]}', id="nested"),
        pytest.param(b'{"a":1,"\\u0061":1}', id="escaped"),
    ],
)
def test_a_name_given_twice_is_ambiguous_wherever_it_stands(raw):
    with pytest.raises(Poison) as caught:
        body.parse(raw)

    assert caught.value.reason == "ambiguous"


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64, -(2**64), 10**40])
def test_a_whole_number_stays_what_it_is(number):
    assert body.parse(b'{"n":%d}' % number) == {"n": number}


def test_what_is_nested_deeper_than_the_fast_parser_writes_is_read_all_the_same():
    assert body.parse(b'{"n":' + b"[" * 300 + b"]" * 300 + b"}")["n"]
