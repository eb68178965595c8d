"""Read a record of `release.bundles`: what an operator decided about removals that are held."""

from models import decisions, records, topics
from models.errors import Poison
from streams.engine.job import Record


def decoded(record: Record) -> records.RemovalDecision | None:
    """Return what a record says, None if it is about something else, as the engine's; raise `Poison`."""
    said = decisions.said(record.value)
    if said is None:
        raise Poison("unreadable")
    if said["decision"] != decisions.REMOVALS:
        return None
    try:
        found = records.RemovalDecision.model_validate_json(record.value or b"")
    except (ValueError, RecursionError):
        raise Poison("unreadable") from None
    if not found.patient_id:
        raise Poison("no_patient")
    return found


def as_bundle(decided: records.RemovalDecision) -> records.Bundle:
    """Return what a decision's records say about where they come from, as those of a bundle do."""
    return records.Bundle(
        message_id=decided.decision_id,
        type=topics.release("bundles"),
        when=decided.decided_at,
        patient_id=decided.patient_id,
        kind="consolidated",
        complete=False,
        outcome="stored",
    )
