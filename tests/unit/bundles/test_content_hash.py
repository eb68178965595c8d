"""What a resource says depends on nothing that was read before it."""

import orjson
import pytest

from streams.bundles.resource import content_hash
from streams.bundles.resource.content_hash import words

CONCEPT = {"coding": [{"system": "urn:b", "code": "2"}, {"system": "urn:a", "code": "1"}], "text": "both"}
RESOURCES = [
    {"resourceType": "Observation", "code": CONCEPT, "category": [CONCEPT], "subject": {"reference": "Patient/1"}},
    {"resourceType": "Observation", "category": [CONCEPT], "code": CONCEPT, "subject": {"reference": "Patient/2"}},
    {"resourceType": "Condition", "category": [CONCEPT], "code": CONCEPT, "subject": {"reference": "Patient/1"}},
    {"resourceType": "Claim", "type": CONCEPT, "patient": {"reference": "Patient/1"}, "code": CONCEPT},
    {"resourceType": "Observation", "code": [CONCEPT, {"text": "a"}], "category": CONCEPT, "subject": []},
    {"resourceType": "List", "code": CONCEPT, "entry": [{"item": {"reference": "Patient/1"}}, {"flag": CONCEPT}]},
]


def forget() -> None:
    content_hash._remembered.clear()
    content_hash._shapes.clear()


@pytest.fixture(autouse=True)
def _nothing_remembered():
    forget()
    yield
    forget()


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_resource_says_the_same_whatever_was_read_before(resource):
    raw = orjson.dumps(resource)
    alone = words(None, raw)
    for other in RESOURCES:
        words(orjson.loads(orjson.dumps(other)), b"")
    assert words(orjson.loads(raw), raw) == alone


def test_what_is_remembered_has_a_limit(monkeypatch):
    monkeypatch.setattr(content_hash, "_REMEMBERED_MAX", 3)
    monkeypatch.setattr(content_hash, "_SHAPES_MAX", 3)
    for number in range(20):
        words({"resourceType": "Observation", "code": {"text": str(number)}, f"x{number}": 1}, b"")
    assert (len(content_hash._remembered) <= 3, len(content_hash._shapes) <= 3) == (True, True)


def test_what_is_long_is_not_remembered():
    words({"resourceType": "Observation", "code": {"text": "x" * 10_000}, "y" * 10_000: 1}, b"")
    assert (content_hash._remembered, content_hash._shapes) == ({}, {})
