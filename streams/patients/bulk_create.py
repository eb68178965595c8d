"""Fold one record into what is known of a bulk patient create. Pure, and a fold like `patient`.

The state as the table keeps it, under `j/<request>`; `rank` decides which status stays (`versions.status_rank`):

    {"requestId": "b-1", "when": "2025-10-30T12:00:00.000Z", "status": "completed",
     "rank": [true, "2025-10-30T12:00:00.000000+00:00", "<message id>", "completed"],
     "counts": {"successful": 2, "failed": 1}}

Under `r/<request>/<row>`, what of a row was counted: ["2025-10-30T12:00:00.000000+00:00", "<message id>", "failed"]
"""

from typing import Any

from models import topics
from streams.patients.versions import latest, status_rank, told, version

State = dict[str, Any]


def item_id(topic: str, record: dict[str, Any]) -> str | None:
    """Return the id under which a row is remembered, None if the record is not a row."""
    return str(record["row"]) if topic == topics.BULK_PATIENTS else None


def fold(state: State | None, topic: str, record: dict[str, Any]) -> State:
    """Return the state after `record` of `topic`, counts aside."""
    state = state or {"requestId": record["requestId"]}
    state["when"] = latest(state.get("when"), told(record.get("when")))
    if topic == topics.BULK_PATIENT_CREATE:
        status = told(record.get("status"))
        rank = status_rank(status, version(record))
        if rank >= state.get("rank", []):
            state["status"], state["rank"] = status, rank
    return state


def count(state: State, _topic: str, record: dict[str, Any], known: list[Any] | None) -> list[Any]:
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
    """Return the state as the `bulk-jobs` topic shows it: `models.states.BulkJobState`."""
    counts = {name: number for name, number in sorted(state.get("counts", {}).items()) if number}
    return {
        "requestId": state["requestId"],
        "status": state.get("status"),
        "counts": counts,
        "when": state.get("when"),
    }
