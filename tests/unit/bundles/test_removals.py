"""How much vanishes without a person: no more than the brake lets pass, whatever comes."""

import json

import pytest

from tests.unit.bundles.stage import DECISIONS, PATIENT, SourceRecord, derived_from, observation, patient

MANY = [patient(), *(observation(number) for number in range(100))]
ENCOUNTER = {"resourceType": "Encounter", "id": "e-1", "status": "finished", "class": {"code": "IMP"}}
NO_BYTES = {"blob": None, "bytes": 0, "sha256": None}


def day(number):
    return f"2025-{1 + number // 28:02d}-{1 + number % 28:02d}T00:00:00Z"


def absent(stage, resources, *, days=(1, 9)):
    """Deliver these, in other bytes each time; return the outputs of the last."""
    for number in days:
        extra = {"resourceType": "Basic", "id": f"b-{number}", "code": {"text": f"x {number}"}}
        outputs = stage.deliver([*resources, extra], when=day(number))
    return outputs


def gone(stage):
    changes = [dict(row.headers)["x-change"] for row in stage.topics["metriport.fhir.changes"]]
    return [change for change in changes if change in {b"removed", b"superseded"}]


def held_now(stage):
    return json.loads(stage.topics["metriport.fhir.held"][-1].value or b"null")


def test_the_removal_of_too_much_is_held_and_told(stage):
    stage.deliver(MANY, when=day(0))

    outputs = absent(stage, MANY[:11])

    marks = [dict(row.headers)["x-change"] for row in outputs.of("fhir.changes")]
    held = json.loads(outputs.of("fhir.changes")[2].value)
    hold = held_now(stage)["holds"][0]
    assert marks == [b"snapshot.started", b"created", b"removal.held", b"snapshot.completed"]
    assert (held["snapshotId"], held["held"], held["resources"][0]) == ("m-3", 90, "Observation/o-10")
    assert outputs.counts["held"] == 90
    assert gone(stage) == []
    assert len(stage.folded_state()) == 103
    assert (hold["snapshotId"], hold["count"], hold["byType"]) == ("m-3", 90, {"Observation": 90})


def test_what_is_held_is_told_once_and_counted_each_time(stage):
    stage.deliver(MANY, when=day(0))
    absent(stage, MANY[:11])

    outputs = absent(stage, MANY[:11], days=(12,))

    assert outputs.counts["held"] == 90
    assert b"removal.held" not in [dict(row.headers)["x-change"] for row in outputs.of("fhir.changes")]
    assert outputs.of("fhir.held") == []


def test_up_to_the_share_is_removed_without_a_person(stage):
    stage.deliver(MANY, when=day(0))

    outputs = absent(stage, MANY[:81])

    assert len(gone(stage)) == outputs.counts["removed"] == 20
    assert "held" not in outputs.counts


def folded_in_pairs(number):
    others = (f"o-{50 + (number * 7 + each) % 50}" for each in range(50))
    return [observation(each, extension=derived_from("Observation", other)) for each, other in enumerate(others)]


ALL = [f"o-{number}" for number in range(100)]
ATTACKS = {
    "nothing": lambda _: None,
    "only the patient": lambda _: [],
    "nearly all gone": lambda _: MANY[1:5],
    "others each time": lambda number: [observation(number * 1000 + each, value=each) for each in range(5)],
    "rejected, new ids": lambda _: [{"resourceType": "Observation", "id": f"bad-{each}"} for each in range(100)],
    "nine at a time": lambda number: MANY[1 : max(1, 101 - 9 * number)],
    "three at a time": lambda number: MANY[1 : 101 - 3 * number],
    "now more, now less": lambda number: MANY[1 : 101 - 40 * (number % 3)],
    "folded into one": lambda _: [
        observation(0, extension=derived_from("Observation", *(f"o-{n}" for n in range(100))))
    ],
    "folded in pairs": folded_in_pairs,
}


@pytest.mark.parametrize("kind", ["consolidated", "encounter"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_number_of_snapshots_makes_more_than_the_share_vanish(stage, attack, kind):
    own = [patient(), ENCOUNTER] if kind == "encounter" else [patient()]
    stage.deliver([*MANY[1:], *own], when=day(0), kind=kind)

    for number in range(1, 29, 4):
        found = ATTACKS[attack](number)
        bundle, facts = (b"", NO_BYTES) if found is None else ([*found, *own], {})
        for _ in range(2 if number < 12 else 1):
            stage.deliver(bundle, when=day(number), kind=kind, **facts)

    left = {f"{PATIENT}/Observation/{name}" for name in ALL} & stage.folded_state().keys()
    assert len(left) >= 80


def test_the_same_bytes_are_one_absence_of_everything(stage):
    stage.deliver(MANY, when=day(0))

    outputs = [stage.deliver(b"", when=day(number), **NO_BYTES) for number in (1, 9, 20)]

    assert [output.counts for output in outputs] == [{"missing": 101}] * 3
    assert gone(stage) == []


def test_everything_of_a_patient_is_held_however_little_it_is(stage):
    stage.deliver([patient(), observation(1)], when=day(0))

    stage.deliver(b"", when=day(1), **NO_BYTES)
    outputs = stage.deliver([{"resourceType": "Observation", "id": "bad"}], when=day(9))

    assert outputs.counts["held"] == 2
    assert gone(stage) == []


def of_document(number, name):
    url = "https://public.metriport.com/fhir/StructureDefinition/doc-id-extension.json"
    return observation(number, extension=[{"url": url, "valueString": name}])


def test_everything_of_a_source_document_is_held(stage):
    first = [of_document(number, "doc-1") for number in range(3)]
    others = [of_document(number, "doc-2") for number in range(3, 60)]
    stage.deliver([patient(), *first, *others], when=day(0))

    outputs = absent(stage, [patient(), *others])

    assert outputs.counts["held"] == 3
    assert gone(stage) == []


def test_a_part_of_a_source_document_is_not_held(stage):
    first = [of_document(number, "doc-1") for number in range(3)]
    others = [of_document(number, "doc-2") for number in range(3, 60)]
    stage.deliver([patient(), *first, *others], when=day(0))

    absent(stage, [patient(), first[0], *others[1:]])

    assert len(gone(stage)) == 3


def test_a_later_snapshot_that_has_them_again_releases_what_is_held(stage):
    stage.deliver(MANY, when=day(0))
    absent(stage, MANY[:11])

    outputs = stage.deliver(MANY, when=day(10))

    assert outputs.changes() == []
    assert held_now(stage) is None


def test_what_is_held_stays_so_however_many_resources_come_beside_it(stage):
    stage.deliver(MANY, when=day(0))
    absent(stage, MANY[:51])

    stage.deliver([*MANY[:51], *(observation(number) for number in range(1000, 2000))], when=day(10))

    assert gone(stage) == []


@pytest.mark.parametrize("killed_after", [None, *range(0, 12, 3)])
def test_an_operator_has_what_is_held_removed(stage, killed_after):
    stage.deliver(MANY, when=day(0))
    absent(stage, MANY[:11])

    outputs = stage.decide("m-3", "apply", killed_after=killed_after)

    assert [kind for kind, *_ in outputs.changes()] == ["removed"] * 90
    assert outputs.snapshot["kind"] == "decision"
    assert outputs.counts == {"removed": 90}
    assert held_now(stage) is None
    assert stage.folded_changes() == stage.folded_state()
    assert len(stage.folded_state()) == 13


def test_an_operator_says_that_what_is_held_is_not_missing(stage):
    stage.deliver(MANY, when=day(0))
    absent(stage, MANY[:11])

    outputs = stage.decide("m-3", "discard")
    later = absent(stage, MANY[:11], days=(10,))

    assert outputs.changes() == []
    assert held_now(stage) is None
    assert later.counts["missing"] == 92


def test_an_operator_decides_about_one_type_only(stage):
    about = {"subject": {"reference": f"Patient/{PATIENT}"}}
    conditions = [{"resourceType": "Condition", "id": f"c-{number}", **about} for number in range(20)]
    stage.deliver([*MANY, *conditions], when=day(0))
    absent(stage, MANY[:11])

    outputs = stage.decide("m-3", "apply", resource_type="Condition")

    assert {kind for _, kind, _ in outputs.changes()} == {"Condition"}
    assert held_now(stage)["holds"][0]["byType"] == {"Observation": 90}


def test_a_decision_about_what_is_not_held_any_more_changes_nothing(stage):
    stage.deliver(MANY, when=day(0))
    absent(stage, MANY[:11])
    stage.deliver(MANY, when=day(10))

    outputs = stage.decide("m-3", "apply")

    assert outputs.changes() == []
    assert len(stage.folded_state()) == 103


def test_what_was_removed_on_a_decision_comes_back_with_the_next_version(stage):
    stage.deliver(MANY, when=day(0))
    absent(stage, MANY[:11])
    stage.decide("m-3", "apply")

    outputs = stage.deliver(MANY[:20], when=day(10))

    assert {dict(row.headers)["x-version"] for row in outputs.of("fhir.state.Observation")} == {b"2"}


def test_what_is_present_but_rejected_is_not_absent(stage):
    stage.deliver(MANY, when=day(0))

    outputs = absent(stage, [patient(), *({"resourceType": "Observation", "id": f"o-{n}"} for n in range(100))])

    assert outputs.counts["missing"] == 1
    assert f"{PATIENT}/Observation/o-1" in stage.folded_state()


def test_a_decision_about_something_else_is_not_the_jobs(stage):
    assert stage.deliver_record(SourceRecord(b'{"decision":"accept","loss":"x"}', 0, topic=DECISIONS)) == []


@pytest.mark.parametrize("value", [b"{", b"[]", b"{}", b'{"patientId":"p-1"}', b'{"decision":"removals"}', None])
def test_a_decision_that_is_none_goes_to_quarantine(stage, value):
    outputs = stage.deliver_record(SourceRecord(value, 1, topic=DECISIONS))

    assert [row.topic for row in outputs] == ["metriport.quarantine.bundles"]
