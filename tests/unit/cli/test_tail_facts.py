"""What `tail` says a record is about: nothing that belongs to a patient, unless asked for."""

import json
from types import SimpleNamespace

import pytest

from cli.commands import tail
from models.errors import Misconfigured

SECRET = "p-1-secret"


def record(topic="m.webhooks", value=b"{}", **headers):
    named = [(name.replace("__", "-"), text.encode()) for name, text in headers.items()]
    return SimpleNamespace(
        topic=topic, partition=0, offset=1, timestamp=0, key=SECRET.encode(), value=value, headers=named
    )


CHANGE = {
    "x__change": "updated",
    "x__resource__type": "Observation",
    "x__version": "3",
    "x__sequence": "17",
    "x__identity": SECRET,
    "ce_type": "fhir.changes.updated",
}


@pytest.mark.parametrize(
    ("given", "about"),
    [
        (record("m.fhir.changes", **CHANGE), "updated Observation v3 #17"),
        (record("m.fhir.changes", x__change="snapshot.started"), "snapshot.started"),
        (record(x__change="created", x__resource__type=f"{SECRET} {SECRET}"), "created"),
        (record(x__quarantine__reason="no_patient", ce_type="patient.admit"), "no_patient"),
        (record(ce_type="patient.admit"), "patient.admit"),
        (
            record("m.documents", json.dumps({"outcome": "expired", "reason": "link_died"}).encode()),
            "expired link_died",
        ),
        (record("m.documents", json.dumps({"outcome": SECRET, "reason": f"{SECRET} Doe"}).encode()), ""),
        (record("m.bundles", b"[1]"), ""),
        (record("m.bundles", b"[" * 30_000), ""),
    ],
)
def test_a_record_is_told_by_what_changed_and_by_nothing_of_the_patient(given, about):
    facts = tail._facts(given, "m.", values=False)

    assert facts["about"] == about
    assert SECRET not in tail._line(facts)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (
            b'{"value": 1.10,\n "n": 123456789012345678901234567890}',
            '{"value":1.10,"n":123456789012345678901234567890}',
        ),
        (b"not JSON", '"not JSON"'),
        (b"NaN", '"NaN"'),
        (b'{"a": "\xff"}', '"{\\"a\\": \\"\ufffd\\"}"'),
        (b'"\\x"', '"\\"\\\\x\\""'),
        (None, "null"),
    ],
)
def test_a_value_is_json_as_it_came_or_else_a_text(value, shown):
    assert tail._as_json(value) == shown


def test_with_json_each_record_is_one_line_with_its_value_as_json(capsys):
    tail._print(record(value=b'{"a":\n"x\\u0000y"}'), "m.", values=True, known=(), as_json=True)

    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["value"] == {"a": "x\0y"}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"patient": SECRET}, True),
        ({"patient": "p-1"}, False),
        ({"message_id": "m-1"}, True),
        ({"message_id": "m"}, False),
    ],
)
def test_a_record_is_meant_by_the_whole_of_an_id(given, meant):
    options = {"key": None, "patient": None, "message_id": None} | given

    assert tail._is_meant(record(x__message__id="m-1"), **options) is meant


def test_a_state_record_belongs_to_the_patient_its_key_begins_with():
    found = record()
    found.key = f"{SECRET}/Observation/1".encode()

    assert tail._is_meant(found, key=None, patient=SECRET, message_id=None)


@pytest.mark.parametrize(("since", "until"), [("1h", "2h"), ("1h", "1h")])
def test_a_stretch_that_ends_before_it_begins_is_refused(since, until):
    with pytest.raises(Misconfigured, match="--until"):
        tail._stretch(since, until, from_start=False, follow=True)


def test_what_is_to_end_begins_with_the_oldest_record_unless_told_otherwise():
    assert tail._stretch(None, None, from_start=False, follow=False).from_start
    assert tail._stretch(None, "1h", from_start=False, follow=True).from_start
    assert not tail._stretch("1h", None, from_start=False, follow=False).from_start
    assert not tail._stretch(None, None, from_start=False, follow=True).from_start
