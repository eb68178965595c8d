"""What one record changes in what is known of a bulk patient create. Pure, and a fold like `patient`."""

from typing import Any

from models import topics
from streams.patients.versions import latest, status_rank, told, version

State = dict[str, Any]


def row_id(topic: str, record: dict[str, Any]) -> str | None:
    """Return the id under which a row is remembered, None if the record is not a row."""
    return str(record["row"]) if topic == topics.BULK_PATIENTS else None


def fold(state: State | None, topic: str, record: dict[str, Any]) -> State:
    """Return the job's state after `record` of `topic`, counts aside."""
    state = state or {"requestId": record["requestId"]}
    state["when"] = latest(state.get("when"), told(record.get("when")))
    if topic == topics.BULK_PATIENT_CREATE:
        status = told(record.get("status"))
        rank = status_rank(status, version(record))
        if rank >= state.get("rank", []):
            state["status"], state["rank"] = status, rank
    return state


def count(state: State, record: dict[str, Any], known: list[Any] | None) -> list[Any]:
    """Count a row in `state`; return what is known of it now (`known`: before)."""
    now = [*version(record), record["status"]]
    if known is not None and known >= now:
        return known
    counts = state.setdefault("counts", {})
    if known is not None:
        counts[known[-1]] -= 1
    counts[record["status"]] = counts.get(record["status"], 0) + 1
    return now


def published(state: State) -> dict[str, Any]:
    """Return the state as the `bulk-jobs` topic shows it."""
    counts = {name: number for name, number in sorted(state.get("counts", {}).items()) if number}
    return {
        "requestId": state["requestId"],
        "status": state.get("status"),
        "counts": counts,
        "when": state.get("when"),
    }
