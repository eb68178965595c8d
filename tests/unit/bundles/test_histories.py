"""Over any history of bundles, with workers killed in between, the change log and the state say the same."""

import itertools
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.bundles.snapshot.diff import Grace
from tests.unit.bundles.stage import DAY_MS, LocalValidator, Stage, derived_from, observation, patient

IDS = st.integers(1, 5)


@st.composite
def resources(draw):
    number = draw(IDS)
    resource = observation(number, draw(st.integers(1, 2)), id=f"o-{draw(st.sampled_from([number, number + 5]))}")
    folded = draw(st.lists(IDS, max_size=2, unique=True))
    if folded:
        resource["extension"] = derived_from("Observation", *(f"o-{other}" for other in folded))
    if draw(st.integers(0, 9)) == 0:
        del resource["status"]
    return resource


SNAPSHOTS = st.fixed_dictionaries(
    {
        "resources": st.lists(st.one_of(resources(), st.just({"resourceType": "Practitioner", "id": "x"})), max_size=6),
        "day": st.integers(1, 28),
        "complete": st.booleans(),
        "encounter": st.sampled_from([None, None, "e-1", "e-2"]),
        "killed_after": st.one_of(st.none(), st.integers(0, 12)),
    }
)


def play(stage, history, *, kills):
    for snapshot in history:
        found = [patient(), *snapshot["resources"]]
        facts = {"when": f"2025-01-{snapshot['day']:02d}T00:00:00Z", "complete": snapshot["complete"]}
        if snapshot["encounter"]:
            encounter = {"resourceType": "Encounter", "id": snapshot["encounter"], "class": {"code": "x"}}
            found.append({**encounter, "status": "finished"})
            facts["kind"] = "encounter"
        stage.deliver(found, killed_after=snapshot["killed_after"] if kills else None, **facts)
        assert stage.folded_changes() == stage.folded_state()


@settings(max_examples=100, deadline=None)
@given(history=st.lists(SNAPSHOTS, min_size=1, max_size=6))
def test_folding_the_changes_gives_the_state_and_kills_change_nothing(history):
    with tempfile.TemporaryDirectory() as folder:
        killed = Stage(LocalValidator(), Path(folder), Grace(2, 3 * DAY_MS))
        spared = Stage(LocalValidator(), Path(folder), Grace(2, 3 * DAY_MS))

        play(killed, history, kills=True)
        play(spared, history, kills=False)

    assert killed.topics == spared.topics
    assert killed.state == spared.state


FORMS = {
    "absent": [],
    "valid": [observation(1)],
    "another": [observation(1, value=2)],
    "rejected": [{"resourceType": "Observation", "id": "o-1"}],
}
PHASES = [("absent", "absent"), ("valid",), ("another",), ("rejected",)]
OUT = [("absent", "absent"), ("rejected",)]


@pytest.mark.parametrize("phases", [*itertools.product(OUT, PHASES, OUT)], ids=str)
def test_what_the_newest_snapshot_has_in_a_valid_form_is_in_the_state_whatever_it_was_before(stage, phases):
    for number, form in enumerate(["valid", *(form for phase in phases for form in phase), "valid"]):
        play_form(stage, number, form)

        state = stage.folded_state()
        assert stage.folded_changes() == state
        if form in {"valid", "another"}:
            assert state.get("p-1/Observation/o-1") == json.dumps(FORMS[form][0]).encode()


def play_form(stage, number, form):
    """Deliver a snapshot, one a week; return its outputs."""
    when = f"2025-{1 + number // 4:02d}-{1 + number % 4 * 7:02d}T00:00:00Z"
    return stage.deliver([patient(language=str(number)), *FORMS[form]], when=when)


def test_what_was_removed_and_comes_back_rejected_is_published_again_once_it_is_valid(stage):
    for number, form in enumerate(["valid", "absent", "absent", "rejected", "valid"]):
        outputs = play_form(stage, number, form)

    assert ("created", "Observation", "o-1") in outputs.changes()
    assert "p-1/Observation/o-1" in stage.folded_state()


def test_what_was_removed_and_comes_back_rejected_is_not_removed_again(stage):
    for number, form in enumerate(["valid", "absent", "absent", "rejected", "absent", "absent"]):
        play_form(stage, number, form)

    changes = [dict(row.headers)["x-change"] for row in stage.topics["metriport.fhir.changes"]]
    assert changes.count(b"removed") == 1


# A network query: the first data while it goes on, then each source's answer. One is of a source that failed: its link
# leads to what was there before.
QUERY = {
    "the first data": ("2025-01-01T00:00:00Z", [observation(1, value=1), observation(2)]),
    "exchanges": ("2025-01-01T00:10:00Z", [observation(1, value=2), observation(2), observation(3)]),
    "laboratories, failed": ("2025-01-01T00:15:00Z", [observation(1, value=2), observation(3)]),
    "pharmacies": ("2025-01-01T00:20:00Z", [observation(1, value=2), observation(2), observation(3), observation(4)]),
}


def delivered(stage, order, *, whole=None, alone=False):
    """Deliver the answers in this order, each with something that it has alone, if so; return the state."""
    for name in order:
        when, found = QUERY[name]
        own = [observation(10 + len(name))] if alone else []
        stage.deliver([patient(), *found, *own], when=when, complete=name == whole)
    return stage.folded_state()


def test_the_answers_of_a_network_query_give_one_state_in_whatever_order_they_come(tmp_path):
    states, changes = [], set()
    for order in itertools.permutations(QUERY):
        stage = Stage(LocalValidator(), tmp_path)
        states.append(delivered(stage, order, alone=True))
        changes |= {dict(row.headers)["x-change"] for row in stage.topics["metriport.fhir.changes"]}

    assert len(states) == 24
    assert all(state == states[0] for state in states)
    assert b'"value": 2' in states[0]["p-1/Observation/o-1"]
    assert len(states[0]) == 9
    assert changes == {b"snapshot.started", b"created", b"updated", b"snapshot.completed"}


@pytest.mark.parametrize("whole", ["the first data", "exchanges", "pharmacies"])
def test_a_whole_record_among_the_answers_gives_the_same_state_in_whatever_order_they_come(tmp_path, whole):
    alone = whole == "the first data"
    expected = delivered(Stage(LocalValidator(), tmp_path), QUERY, alone=alone)

    states = [
        delivered(Stage(LocalValidator(), tmp_path), order, whole=whole, alone=alone)
        for order in itertools.permutations(QUERY)
    ]

    assert all(state == expected for state in states)
