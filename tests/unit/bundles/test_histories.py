"""Over any history of bundles, with workers killed in between, the change log and the state say the same."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.bundles.diff import Grace
from tests.unit.bundles.stage import DAY_MS, LocalExaminer, Stage, derived_from, observation, patient

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


@settings(max_examples=150, deadline=None)
@given(history=st.lists(SNAPSHOTS, min_size=1, max_size=6))
def test_folding_the_changes_gives_the_state_and_kills_change_nothing(history):
    with tempfile.TemporaryDirectory() as folder:
        killed = Stage(LocalExaminer(), Path(folder), Grace(2, 3 * DAY_MS))
        spared = Stage(LocalExaminer(), Path(folder), Grace(2, 3 * DAY_MS))

        play(killed, history, kills=True)
        play(spared, history, kills=False)

    assert killed.topics == spared.topics
    assert killed.state == spared.state
