"""Whose data it is: nothing about another person is published under a patient's key."""

import importlib
import json

import pytest

from models.fhir_types import R4_TYPES, SUBJECTS
from streams.bundles.resource.facts import facts
from streams.bundles.snapshot import subjects
from tests.unit.bundles.stage import PATIENT, observation, patient

OTHER = {"reference": "Patient/p-2"}


def kinds(outputs):
    rows = outputs.of("fhir.rejected")
    return [json.loads(row.value)["issue"][0]["details"]["coding"][0]["code"] for row in rows]


@pytest.mark.parametrize(
    "reference",
    ["Patient/p-2", "urn:uuid:p-2", "https://fhir.example.org/r4/Patient/p-2", "Patient/p-2/_history/3"],
)
def test_what_is_about_another_patient_is_rejected_alone(stage, reference):
    outputs = stage.deliver([patient(), observation(1), observation(2, subject={"reference": reference})])

    assert outputs.changes() == [("created", "Patient", PATIENT), ("created", "Observation", "o-1")]
    assert kinds(outputs) == ["other_patient"]
    assert outputs.counts["rejected"] == 1


def test_a_second_patient_and_what_is_about_them_are_rejected(stage):
    outputs = stage.deliver([patient(), patient(id="p-2"), observation(1), observation(2, subject=OTHER)])

    assert outputs.changes() == [("created", "Patient", PATIENT), ("created", "Observation", "o-1")]
    assert kinds(outputs) == ["other_patient", "other_patient"]


def test_a_bundle_without_a_patient_whose_resources_are_about_another_is_refused_whole(stage):
    stage.deliver([patient(), observation(1)])

    outputs = stage.deliver([observation(7, subject=OTHER), {"resourceType": "Practitioner", "id": "x"}])

    assert outputs.snapshot["reason"] == "other_patient"
    assert outputs.changes() == []


def test_a_bundle_without_a_patient_is_taken_if_its_resources_are_about_ours(stage):
    outputs = stage.deliver([observation(1), observation(2, subject=OTHER)])

    assert outputs.changes() == [("created", "Observation", "o-1")]
    assert kinds(outputs) == ["other_patient"]


def test_a_bundle_that_says_of_nobody_whom_it_is_about_is_taken(stage):
    outputs = stage.deliver([{"resourceType": "Practitioner", "id": "x"}])

    assert len(outputs.changes()) == 1


def test_ours_that_comes_back_about_another_patient_stays_as_it_was(stage):
    stage.deliver([patient(), observation(1)])

    outputs = stage.deliver([patient(), observation(1, subject=OTHER)])

    assert outputs.changes() == []
    assert b"p-1" in stage.folded_state()["p-1/Observation/o-1"]
    assert "missing" not in outputs.counts


def test_another_patients_data_does_not_come_in_by_coming_twice(stage):
    bundle = [patient(), patient(id="p-2"), observation(2, subject=OTHER)]
    stage.deliver(bundle)

    outputs = stage.deliver([*bundle, observation(1)])

    assert outputs.changes() == [("created", "Observation", "o-1")]
    assert outputs.counts["rejected"] == 2


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Group/g-1"},
        {"reference": "Device/d-1"},
        {"display": "somebody"},
        {"identifier": {"value": "1"}},
        {"reference": "#contained"},
        {"reference": "urn:uuid:l-1"},
    ],
)
def test_a_subject_that_is_no_patient_is_nobody_elses(stage, subject):
    location = {"resourceType": "Location", "id": "l-1"}

    outputs = stage.deliver([patient(), location, observation(1, subject=subject)])

    assert ("created", "Observation", "o-1") in outputs.changes()


@pytest.mark.parametrize(("kind", "element"), sorted(SUBJECTS.items()))
def test_every_type_says_whom_it_is_about_in_its_own_element(kind, element):
    of_one, of_many = ({"resourceType": kind, element: found} for found in (OTHER, [OTHER, {"display": "x"}]))

    abouts = [subjects.about(facts(json.dumps(resource).encode()).subject) for resource in (of_one, of_many)]

    assert [about.patients for about in abouts] == [{"p-2"}] * 2


def test_every_subject_that_may_be_a_patient_is_in_the_table():
    found = {}
    for name in R4_TYPES:
        try:
            cls = getattr(importlib.import_module(f"fhir.resources.R4B.{name.lower()}"), name)
        except ImportError:
            continue
        for field, info in cls.model_fields.items():
            extra = info.json_schema_extra or {}
            if field in {"subject", "patient"} and "Patient" in extra.get("enum_reference_types", ()):
                found[name] = field

    assert found.items() <= SUBJECTS.items()


@pytest.mark.parametrize("patient", ["../../etc", "a/b", "p-1"])
@pytest.mark.parametrize("reference", ["Patient/{}", "https://fhir.example.com/r4/Patient/{}", "Patient/{}/_history/2"])
def test_a_patient_is_named_by_all_of_the_id_that_a_reference_has(patient, reference):
    resource = {"resourceType": "Observation", "subject": {"reference": reference.format(patient)}}

    assert subjects.about(facts(json.dumps(resource).encode()).subject).patients == {patient}
