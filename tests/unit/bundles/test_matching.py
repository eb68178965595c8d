"""The same documents, merged in another order, are the same resources."""

import json
import random
import sys
import threading
import uuid
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.unit.bundles.stage import PATIENT, LocalValidator, Stage, derived_from, observation, patient

SAMPLE = Path(__file__).parents[2] / "fhir" / "samples" / "synthea.json"
FOLDED = (
    "AllergyIntolerance",
    "Condition",
    "Encounter",
    "Immunization",
    "MedicationRequest",
    "Observation",
    "Procedure",
)


def documents(rnd, count=3):
    """The sample as several documents would tell it: each with most resources, under ids of its own."""
    entries = json.loads(SAMPLE.read_bytes())["entry"]
    sample = [entry["resource"] for entry in entries if entry["resource"]["resourceType"] != "Patient"]
    return [
        {resource["id"]: str(uuid.UUID(int=rnd.getrandbits(128))) for resource in sample if rnd.random() < 0.8}
        for _ in range(count)
    ], sample


def merged(parts, sample, order, rnd):
    """Merge as Metriport does: the first document's id survives, the others are listed, references are rewritten."""
    survivors = {}
    for resource in sample:
        ids = [parts[number][resource["id"]] for number in order if resource["id"] in parts[number]]
        if ids:
            survivors[resource["id"]] = ids
    bundle = [patient(), *(renamed(resource, survivors, rnd) for resource in sample if resource["id"] in survivors)]
    rnd.shuffle(bundle)
    return bundle


def renamed(resource, survivors, rnd):
    own, *folded = survivors[resource["id"]]
    found = referring(resource, survivors, rnd)
    # Metriport drops doubles of shared types without a trace.
    if folded and resource["resourceType"] in FOLDED:
        found["extension"] = [*found.get("extension", []), *derived_from(resource["resourceType"], *folded)]
    return {**found, "id": own, "meta": {"lastUpdated": f"2025-01-01T00:00:{rnd.randrange(60):02d}Z"}}


def referring(node, survivors, rnd):
    if isinstance(node, dict):
        return {key: referring_to(key, value, survivors, rnd) for key, value in node.items()}
    if isinstance(node, list):
        items = [referring(item, survivors, rnd) for item in node]
        return rnd.sample(items, len(items))
    return node


def referring_to(key, value, survivors, rnd):
    if key != "reference":
        return referring(value, survivors, rnd)
    resource_type, _, known = value.partition("/")
    if resource_type == "Patient":
        return f"Patient/{PATIENT}"
    return f"{resource_type}/{survivors[known][0]}" if known in survivors else value


def test_another_merge_order_makes_events_of_less_than_3_percent_of_the_resources(stage):
    rnd = random.Random(7)
    parts, sample = documents(rnd)
    first = merged(parts, sample, (0, 1, 2), rnd)
    second = merged(parts, sample, (2, 0, 1), rnd)
    naive = {resource["id"] for resource in second} ^ {resource["id"] for resource in first}
    stage.deliver(first)

    outputs = stage.deliver(second)

    assert len(naive) > 0.2 * len(second)
    assert len(outputs.changes()) < 0.03 * len(second)


def test_a_resource_without_an_id_is_recognised_by_its_code_and_date(stage):
    first = {"resourceType": "Observation", "status": "preliminary", "code": {"text": "x"}, "effectiveDateTime": "2020"}
    stage.deliver([patient(), first])

    outputs = stage.deliver([patient(), {**first, "status": "final"}])

    assert [change for change, *_ in outputs.changes()] == ["updated"]


def changed(first, second, **more):
    """The same resource twice, saying another thing."""
    return {**first, **more}, {**second, **more}


NAME = {"resourceType": "Patient", "id": PATIENT}
DRUG = {
    "resourceType": "MedicationRequest",
    "id": "m-1",
    "status": "active",
    "intent": "order",
    "subject": {"reference": f"Patient/{PATIENT}"},
    "medicationCodeableConcept": {"text": "x"},
}
ABSENT = {"extension": [{"url": "http://x/absent", "valueCode": "unknown"}]}
CITED = {"url": "http://hl7.org/fhir/StructureDefinition/artifact-relatedArtifact"}


def numbered(written):
    return (
        f'{{"resourceType":"Observation","id":"o-1","status":"final","code":{{"text":"x"}},"value{written}}}'.encode()
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        changed({"name": [{"given": ["Anna", "Maria"]}]}, {"name": [{"given": ["Maria", "Anna"]}]}, **NAME),
        changed({"address": [{"line": ["Floor 2", "1 Elm"]}]}, {"address": [{"line": ["1 Elm", "Floor 2"]}]}, **NAME),
        changed(
            {"name": [{"given": ["Anna", "Maria"], "_given": [ABSENT, None]}]},
            {"name": [{"given": ["Anna", "Maria"], "_given": [None, ABSENT]}]},
            **NAME,
        ),
        changed(
            {"dosageInstruction": [{"text": "one"}, {"text": "two"}]},
            {"dosageInstruction": [{"text": "two"}, {"text": "one"}]},
            **DRUG,
        ),
        changed(
            {"extension": [{**CITED, "valueRelatedArtifact": {"type": "citation", "display": "a"}}]},
            {"extension": [{**CITED, "valueRelatedArtifact": {"type": "citation", "display": "b"}}]},
            **DRUG,
        ),
        (numbered('Quantity":{"value":1.10}'), numbered('Quantity":{"value":1.1}')),
        (numbered('Quantity":{"value":1e2}'), numbered('Quantity":{"value":100}')),
        (
            numbered('Quantity":{"value":0.12345678901234567891}'),
            numbered('Quantity":{"value":0.12345678901234567892}'),
        ),
        (numbered('Quantity":{"value":123456789012345678901}'), numbered('Quantity":{"value":123456789012345678902}')),
    ],
    ids=[
        *("given names", "address lines", "given and _given", "dosages", "a citation", "1.10 and 1.1", "1e2 and 100"),
        *("many digits", "a large whole number"),
    ],
)
def test_what_says_another_thing_is_updated(stage, first, second):
    stage.deliver(bundle(first))

    outputs = stage.deliver(bundle(second))

    assert [change for change, *_ in outputs.changes()] == ["updated"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        changed({"category": [{"text": "a"}, {"text": "b"}]}, {"category": [{"text": "b"}, {"text": "a"}]}, **DRUG),
        (numbered('Quantity":{"value":1.5}'), numbered('Quantity" : {"value" : 1.5}')),
        (numbered('Quantity":{"value":0.10,"unit":"x"}'), numbered('Quantity":{"unit":"x","value":0.10}')),
    ],
    ids=["categories in another order", "white space", "members in another order"],
)
def test_what_says_the_same_in_other_bytes_is_unchanged(stage, first, second):
    stage.deliver(bundle(first))

    outputs = stage.deliver(bundle(second))

    assert outputs.changes() == []


def bundle(resource):
    raw = resource if isinstance(resource, bytes) else json.dumps(resource).encode()
    return b'{"resourceType":"Bundle","entry":[{"resource":%b}]}' % raw


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_resources_without_an_id_are_as_many_as_they_are_however_alike(stage, copies):
    nameless = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "effectiveDateTime": "2020"}
    stage.deliver([patient(), nameless, nameless])

    outputs = stage.deliver([*[nameless] * copies, patient()])

    assert len(stage.folded_state()) == 1 + max(copies, 2)
    assert outputs.counts.get("created", 0) == max(copies - 2, 0)
    assert outputs.counts.get("missing", 0) == max(2 - copies, 0)


NAMELESS = {
    "of no type": {},
    "accepted": {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "effectiveDateTime": "2020"},
}


@pytest.mark.parametrize("resource", NAMELESS.values(), ids=NAMELESS)
def test_four_times_the_copies_without_an_id_are_four_times_the_work(tmp_path, resource):
    work = []
    for count in (150, 600):
        stage = Stage(LocalValidator(), tmp_path)
        copies = [resource] * count
        with lines_run() as lines:
            stage.deliver([patient(), *copies])
            stage.job._options = stage.job._options._replace(validator_id="v2")
            stage.deliver([patient(), *copies, *copies])
        work.append(len(lines))

    assert work[1] < 6 * work[0]


@contextmanager
def lines_run():
    """Yield a list that grows with every line run in the stage's own modules, in new threads too."""
    lines = []

    def trace(frame, event, _argument):
        if "/streams/bundles/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            lines.append(None)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    threading.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(before)
        threading.settrace(before)


def test_a_manifest_of_an_older_version_is_read_and_learns_at_the_next_snapshot(stage):
    found = [patient(), *(observation(number) for number in (1, 2)), observation(3, id="o-3", value=7)]
    stage.deliver(found)
    age(stage)
    stage.job._options = stage.job._options._replace(validator_id="v2")
    same = stage.deliver(found)

    again = stage.deliver([{**each, "id": f"{each['id']}-new"} if each["id"] != PATIENT else each for each in found])

    assert same.changes() == again.changes() == []


def age(stage):
    """Give the manifest the form it had before resources were recognised by what they say."""
    state = stage._state.copies[0]
    head = msgspec.msgpack.decode(state[b"manifest/p-1"])
    scope = ["consolidated", head[3][0][1], head[3][0][1], *head[3][0][2:6]]
    state[b"manifest/p-1"] = msgspec.msgpack.encode([1, head[1], head[2], [scope]])
    for key in [key for key in state if key.count(b"/") > 1 and key.startswith(b"manifest/")]:
        entries = [[*entry[:9], 0, 0, 0, entry[10]] for entry in msgspec.msgpack.decode(state[key])]
        for entry in entries:
            entry[4], entry[5] = b"another content.", b"8 bytes."
        state[key] = msgspec.msgpack.encode(entries)


def test_an_identifier_that_two_have_is_none_of_either(stage):
    shared = {"identifier": [{"system": "urn:oid:1.2.3", "value": "A-1"}]}
    stage.deliver([patient(), observation(1, **shared), observation(1, 2, id="o-2", **shared)])

    outputs = stage.deliver([patient(), observation(1, 3, id="o-3", **shared)], complete=False)

    assert outputs.changes() == [("created", "Observation", "o-3")]


def test_a_resource_refused_under_a_new_id_is_what_was_refused_before(stage):
    bad = {**observation(1), "bogus": 1}
    stage.deliver([patient(), {**bad, "id": "a"}])

    outputs = stage.deliver([patient(), {**bad, "id": "b"}])

    assert outputs.counts == {"accepted": 1, "unchanged": 1, "rejected": 1}
    assert {dict(row.headers)["x-identity"] for row in outputs.of("fhir.rejected")} == {b"a"}


def test_copies_of_several_shared_resources_in_a_first_bundle_are_as_many_as_they_say(stage):
    copies = [
        {"resourceType": "Practitioner", "id": f"{name}-{copy}", "name": [{"family": name}]}
        for copy in range(3)
        for name in ("x", "y")
    ]

    outputs = stage.deliver([patient(), *copies])

    identities = [identity for _, kind, identity in outputs.changes() if kind == "Practitioner"]
    assert len(set(identities)) == len(identities) == 2
    assert all(identities)
