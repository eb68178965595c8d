"""Read a record of `release.bundles`: what an operator decided about removals that are held."""

import json

from models import records, topics
from models.errors import Poison
from streams.engine.job import Record


def decoded(record: Record) -> records.RemovalDecision | None:
    """Return what a record says, None if it is about something else, as the engine's; raise `Poison`."""
    try:
        said = json.loads(record.value or b"")["decision"]
        if isinstance(said, str) and said != records.REMOVALS:
            return None
        found = records.RemovalDecision.model_validate_json(record.value or b"")
    except (ValueError, TypeError, KeyError, RecursionError):
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
