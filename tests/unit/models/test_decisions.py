"""A record of decisions says one, or none; it never ends who reads it."""

import pytest

from models import decisions


@pytest.mark.parametrize(
    "value",
    [None, b"", b"[]", b"1", b"{}", b'{"decision": 1}', b'{"decision": null}', b"\xff", b"[" * 100_000, b"1" * 10_000],
)
def test_what_is_no_decision_is_none(value):
    assert decisions.said(value) is None


def test_a_decision_is_given_whole():
    assert decisions.said(b'{"decision": "drop", "place": "x"}') == {"decision": decisions.DROP, "place": "x"}
