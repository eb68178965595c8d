import pytest

from cli import near

THERE = ("patient.admit", "patient.discharge", "patients", "fhir.state.Observation")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("patient.admitted", "patient.admit"),
        ("admit", "patient.admit"),
        ("patiens", "patients"),
        ("FHIR.STATE.OBSERVATION", "fhir.state.Observation"),
    ],
)
def test_the_name_that_was_meant_comes_first(given, meant):
    assert near.names(given, THERE)[0] == meant


@pytest.mark.parametrize("given", ["", "x", "quarantine"])
def test_what_is_like_nothing_has_no_answer(given):
    assert near.question(given, THERE) == ""
