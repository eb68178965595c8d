"""A slice of what `python -m tests.fhir.histories` plays."""

from tests.fhir.histories import RESOLVED_MIN, run


def test_whatever_comes_changes_and_state_agree_numbers_have_no_gap_and_references_lead_somewhere():
    counts, references = run(200, seed=5)

    assert {"removed", "superseded", "held", "rejected", "stale", "killed", "updated"} <= {*+counts}
    assert references.resolved >= RESOLVED_MIN * references.all > 100
