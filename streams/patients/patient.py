"""Fold one record into what is known of its patient. Pure.

A fold: the same record twice, or records of different topics in another order, give the same state. What is counted
(documents, bundles) is therefore remembered one by one, under a key of its own next to the patient's.

The state as the table keeps it, under `p/<patient>`. A version is `[when, message id]`, a rank what decides which
status stays (`versions`); times are as Metriport wrote them, those in versions and ranks in one comparable form:

    {"patientId": "p-1", "externalId": "MRN-1", "metadata": {"tenant": "t"}, "additionalIds": {"athena": ["a-1"]},
     "versions": {"externalId": [when, message id], "metadata": …, "additionalIds": …, "snapshot": …},
     "firstSeen": "2025-10-30T12:00:00.000Z", "lastSeen": "2025-10-30T12:00:00.000Z",
     "messages": {"<type>": {"status": "completed", "requestId": "r-1", "when": …, "rank": [true, …]}},
     "pages": {"<type>": {"<request>": {"total": 3, "seen": [1, 2], "at": [when, message id]}}},
     "stays": {"encounter <id>": {"admit": …, "discharge": …, "transfers": [{…}], "versions": {"admit": …}}},
     "resources": {"sequence": 7, "byType": {"Observation": 12}},
     "snapshot": {"snapshotId": "s-1", "byType": {"Observation": 12}, "rejected": 0},
     "documents": {"stored": 2, "failed": 1, "newest": …}, "bundles": {"stored": 1, "newest": …}}

Under `i/<patient>/<item>`, what of a document or bundle was counted: [when, message id, rank, "stored"]
"""

from typing import Any

from models import messages, topics
from streams.patients import encounters, requests
from streams.patients.versions import earliest, keep_newest, latest, status_rank, told, version, within

State = dict[str, Any]

PAGED_REQUESTS_MAX = 20

_COUNTED = {topics.DOCUMENTS: "documents", topics.BUNDLES: "bundles"}
_OUTCOME_RANK = {"failed": 0, "expired": 1, "stored": 2}


def item_id(topic: str, record: dict[str, Any]) -> str | None:
    """Return the id under which something counted is remembered, None if the record counts nothing."""
    if topic == topics.DOCUMENTS:
        return f"{topic}/{record.get('documentId') or record.get('fileName') or record.get('messageId')}"
    if topic == topics.BUNDLES:
        return f"{topic}/{record.get('messageId')}/{record.get('format')}"
    return None


def fold(state: State | None, topic: str, record: dict[str, Any]) -> State:
    """Return the patient's state after `record` of `topic`, counts aside."""
    at = version(record)
    state = state or {"patientId": record["patientId"]}
    keep_newest(state, "externalId", told(record.get("externalId")), at)
    if isinstance(record.get("metadata"), dict):
        keep_newest(state, "metadata", record["metadata"], at)
    if isinstance(record.get("additionalIds"), dict):
        ids = {source: some for source, some in record["additionalIds"].items() if isinstance(some, list)}
        keep_newest(state, "additionalIds", ids, at)
    seen = told(record.get("receivedAt")) or told(record.get("when"))
    state["firstSeen"] = earliest(state.get("firstSeen"), seen)
    state["lastSeen"] = latest(state.get("lastSeen"), seen)
    kind = messages.TYPES.get(topic)
    if kind is not None:
        _message(state, topic, record, at)
        _page(state, topic, record, at)
    if kind is not None and kind.is_stay:
        encounters.add(state.setdefault("stays", {}), record, at)
    if topic == topics.FHIR_SNAPSHOTS:
        _snapshot(state, record, at)
    return state


def count(state: State, topic: str, record: dict[str, Any], known: list[Any] | None) -> list[Any]:
    """Count a document or bundle in `state`; return what is known of it now (`known`: before).

    The newest message about it wins; of one message, what was stored beats what was not.
    """
    outcome = record["outcome"]
    now = [*version(record), _OUTCOME_RANK[outcome], outcome]
    if known is not None and known >= now:
        return known
    counts = state.setdefault(_COUNTED[topic], {})
    if known is not None:
        counts[known[-1]] -= 1
    counts[outcome] = counts.get(outcome, 0) + 1
    counts["newest"] = latest(counts.get("newest"), told(record.get("when")))
    return now


def published(state: State) -> dict[str, Any]:
    """Return the state as the `patients` topic shows it: `models.states.PatientState`."""
    return {
        "patientId": state["patientId"],
        "externalId": state.get("externalId"),
        "additionalIds": state.get("additionalIds"),
        "metadata": state.get("metadata"),
        "messages": {
            name: {field: message[field] for field in ("status", "requestId", "when")}
            | {"pages": _pages(state, name, message["requestId"])}
            for name, message in sorted(state.get("messages", {}).items())
        },
        "documents": _counts(state.get("documents", {})),
        "bundles": _counts(state.get("bundles", {})),
        "encounters": encounters.encounters(state.get("stays", {})),
        "resources": (state.get("resources") or state.get("snapshot", {})).get("byType", {}),
        "rejected": state.get("snapshot", {}).get("rejected", 0),
        "lastCompleteSnapshot": state.get("snapshot", {}).get("snapshotId"),
        "firstSeen": state.get("firstSeen"),
        "lastSeen": state.get("lastSeen"),
    }


def _message(state: State, topic: str, record: dict[str, Any], at: list[str]) -> None:
    status = told(record.get("status"))
    rank = status_rank(status, at)
    messages = state.setdefault("messages", {})
    if topic not in messages or rank >= messages[topic]["rank"]:
        messages[topic] = {
            "status": status,
            "requestId": told(record.get("requestId")),
            "when": told(record.get("when")),
            "rank": rank,
        }


def _page(state: State, topic: str, record: dict[str, Any], at: list[str]) -> None:
    """Note the page of a request that comes in pages; the newest requests are remembered."""
    if (page := requests.page(record)) is None:
        return
    known = state.setdefault("pages", {}).setdefault(topic, {})
    name = told(record.get("requestId")) or ""
    before = known.get(name)
    known[name] = requests.with_page(before, *page) | {"at": max(at, before["at"]) if before else at}
    if len(known) > PAGED_REQUESTS_MAX:
        del known[min(known, key=lambda other: (known[other]["at"], other))]


def _pages(state: State, topic: str, request_id: str | None) -> dict[str, int] | None:
    pages = state.get("pages", {}).get(topic, {}).get(request_id or "")
    return {"seen": len(pages["seen"]), "total": pages["total"]} if pages else None


def _snapshot(state: State, record: dict[str, Any], at: list[str]) -> None:
    # What is in the state is told by whatever snapshot came last, however old it is; its number says which one did.
    sequence = record.get("sequence") or 0
    if sequence and sequence >= state.get("resources", {}).get("sequence", 0):
        state["resources"] = {"sequence": sequence, "byType": record.get("state") or {}}
    if record.get("kind") == "consolidated" and record.get("complete") and not record.get("stale"):
        what = {
            "snapshotId": told(record.get("snapshotId")),
            "byType": within(record, "byType"),
            "rejected": within(record, "counts").get("rejected", 0),
        }
        keep_newest(state, "snapshot", what, at)


def _counts(counts: dict[str, Any]) -> dict[str, Any]:
    return {name: counts.get(name, 0) for name in ("stored", "expired", "failed")} | {"newest": counts.get("newest")}
