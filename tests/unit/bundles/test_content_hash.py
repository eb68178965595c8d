"""What a resource says depends on nothing that was read before it."""

import msgspec
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


def said(resource):
    return words(None, orjson.dumps(resource))


def test_a_type_that_evidence_says_nothing_about_says_all_at_once():
    claim = {"resourceType": "Claim", "identifier": [{"system": "urn:a", "value": "1"}], "type": CONCEPT}

    found = said(
        {**claim, "patient": {"reference": "Patient/1"}, "item": [{"encounter": [{"reference": "Encounter/2"}]}]}
    )

    assert (found.facets, found.names) == (b"", b"")
    assert msgspec.msgpack.decode(found.references) == ["\0Encounter/2", "\0Patient/1"]


@pytest.mark.parametrize("kind", ["Claim", "Observation"])
def test_what_a_resource_says_has_no_order_of_members_and_bags(kind):
    turned = {"text": "both", "coding": CONCEPT["coding"][::-1]}

    one = said({"resourceType": kind, "id": "1", "code": CONCEPT, "supportingInfo": [{"a": CONCEPT}, {"b": 1.5}]})
    other = said({"supportingInfo": [{"b": 1.5}, {"a": turned}], "resourceType": kind, "code": turned, "id": "2"})

    assert one == other


def test_the_order_of_a_list_resource_says_something():
    one, other = ({"resourceType": "List", "entry": found} for found in ([{"a": 1}, {"a": 2}], [{"a": 2}, {"a": 1}]))

    assert said(one).text != said(other).text


def test_the_sections_of_a_composition_are_told_from_what_else_it_refers_to():
    resource = {
        "resourceType": "Composition",
        "author": [{"reference": "Patient/1"}],
        "section": [{"entry": [{"reference": "Patient/1"}]}],
    }

    author, section = msgspec.msgpack.decode(said(resource).references)

    assert (author[1:], author != section) == (section[1:], True)


def test_where_it_is_from_is_nothing_that_a_resource_says():
    claim = {"resourceType": "Claim", "status": "active"}
    tagged = {**claim, "meta": {"tag": [{"code": "x"}]}}

    metas = [{}, {"lastUpdated": "2025-01-01T00:00:00Z"}, {"versionId": "1", "source": "x"}]

    assert [said({**claim, "meta": meta}) for meta in metas] == [said(claim)] * 3
    assert said({**claim, "meta": {**tagged["meta"], "versionId": "1"}}) == said(tagged) != said(claim)
