"""Two facts never become one, one fact never becomes two. `tests.fhir.identity_campaign` is the full run."""

import json

import pytest

from tests.fhir.identity_campaign import campaign, wrong_pairs
from tests.fhir.mutants import SAMPLES
from tests.fhir.pairs import DIFFERENT, SAME


@pytest.fixture(scope="module")
def tallies():
    sample = json.loads((SAMPLES / "synthea.json").read_bytes())
    return campaign([[entry["resource"] for entry in sample["entry"]]])


def test_there_are_enough_pairs_and_each_has_a_name_of_its_own():
    names = [pair.name for pair in (*DIFFERENT, *SAME)]

    assert min(len(DIFFERENT), len(SAME)) >= 150
    assert len(set(names)) == len(names)


def test_no_pair_of_two_facts_is_taken_for_one_and_none_of_one_fact_for_two():
    assert wrong_pairs() == ([], [])


def test_no_fact_of_a_record_becomes_another(tallies):
    assert {name: tally.false_merges for name, tally in tallies.items() if tally.false_merges} == {}


def test_events_about_nothing_are_rare(tallies):
    phantoms = {name: tally.phantoms / tally.resources for name, tally in tallies.items()}

    assert all(share <= 0.03 for share in phantoms.values())
    assert phantoms["another order"] <= 0.006


def test_every_edit_is_heard_of(tallies):
    edited = {name: (tally.found, tally.edits) for name, tally in tallies.items() if tally.edits}

    assert len(edited) == 2
    assert all(found == edits for found, edits in edited.values())
