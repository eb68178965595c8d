"""Fold one message into what is known of the request that it answers. Pure, and a fold like `patient`.

A request is a patient's network query, document query, query for links or consolidated query, by whomever it was
started: Metriport's schedules start some, too.

The state as the table keeps it, under `q/<patient>/<request>`; a rank decides which status stays (`versions`):

    {"patientId": "p-1", "requestId": "r-1", "kind": "network-query",
     "messages": {"network-query.hie": {"status": "completed", "when": "2025-10-30T12:00:00.000Z", "rank": [true, …]}},
     "sources": {"pharmacy/surescripts": {"status": "completed", "when": …, "rank": [true, …]}},
     "pages": {"total": 3, "seen": [1, 2]}, "firstSeen": …, "lastSeen": …}
"""

from typing import Any

from models import messages
from streams.patients.versions import earliest, latest, status_rank, told, version, within

State = dict[str, Any]

PAGES_MAX = 10_000  # a larger page number is not believed


def request_id(topic: str, record: dict[str, Any]) -> str | None:
    """Return the request that a record of `topic` answers, None if it answers none."""
    kind = messages.TYPES.get(topic)
    answered = record.get("requestId") if kind is not None and kind.answers else None
    return answered if isinstance(answered, str) and answered else None


def fold(state: State | None, topic: str, record: dict[str, Any]) -> State:
    """Return the request's state after `record` of `topic`."""
    state = state or {"patientId": record["patientId"], "requestId": record["requestId"], "messages": {}, "sources": {}}
    message = messages.TYPES[topic]
    kind = message.answers or ""
    state["kind"] = min(kind, state.get("kind", kind))
    seen = told(record.get("receivedAt")) or told(record.get("when"))
    state["firstSeen"] = earliest(state.get("firstSeen"), seen)
    state["lastSeen"] = latest(state.get("lastSeen"), seen)
    _keep(state["messages"], topic, record, told(record.get("status")))
    if not message.is_preliminary and isinstance(source := record.get("source"), dict):
        _keep(state["sources"], _name(source), record, told(source.get("status")))
    if pages := page(record):
        state["pages"] = with_page(state.get("pages"), *pages)
    return state


def page(record: dict[str, Any]) -> tuple[int, int] | None:
    """Return which page of how many a record is, None if it does not say."""
    pages = within(record, "pagination")
    number, total = pages.get("page"), pages.get("totalPages")
    if not (isinstance(number, int) and isinstance(total, int) and 0 <= number <= PAGES_MAX >= total > 0):
        return None
    return number, total


def with_page(known: dict[str, Any] | None, number: int, total: int) -> dict[str, Any]:
    """Return the pages seen, one more among them."""
    known = known or {"total": 0, "seen": []}
    return {"total": max(total, known["total"]), "seen": sorted({number, *known["seen"]})}


def published(state: State) -> dict[str, Any]:
    """Return the state as the `requests` topic shows it: `models.states.RequestState`."""
    awaited = _awaited(state)
    ended = state["sources"] or {name: part for name, part in state["messages"].items() if not _is_preliminary(name)}
    pages = state.get("pages")
    return {
        "requestId": state["requestId"],
        "patientId": state["patientId"],
        "kind": state["kind"],
        "status": "processing" if awaited else _overall([part["status"] for part in ended.values()]),
        "messages": _parts(state["messages"]),
        "sources": _parts(state["sources"]),
        "pages": {"seen": len(pages["seen"]), "total": pages["total"]} if pages else None,
        "awaited": awaited,
        "firstSeen": state["firstSeen"],
        "lastSeen": state["lastSeen"],
    }


def _awaited(state: State) -> dict[str, str | None]:
    """Return what must still come, and since when that is so: what was told of the request implies it."""
    known = state["messages"]
    awaited: dict[str, str | None] = {}
    for name, message in messages.TYPES.items():
        if name not in known or message.brings is None or message.brings in known:
            continue
        if known[name]["status"] != "failed" or message.brings_even_if_failed:
            awaited[message.brings] = known[name]["when"]
    if (pages := state.get("pages")) and len(pages["seen"]) < pages["total"]:
        awaited["pages"] = state["firstSeen"]
    return awaited


def _is_preliminary(name: str) -> bool:
    message = messages.TYPES.get(name)  # None: noted by a newer version
    return message is not None and message.is_preliminary


def _overall(statuses: list[str | None]) -> str | None:
    """Return one status for all: what the parts agree on, `partial` where some completed and some failed."""
    found = {status for status in statuses if status}
    if found <= {"completed", "failed"} and len(found) > 1:
        return "partial"
    return min(found - {"completed", "failed"} or found, default=None)


def _keep(parts: dict[str, Any], name: str, record: dict[str, Any], status: str | None) -> None:
    rank = status_rank(status, version(record))
    if name not in parts or rank >= parts[name]["rank"]:
        parts[name] = {"status": status, "when": told(record.get("when")), "rank": rank}


def _name(source: dict[str, Any]) -> str:
    """Name a source by its kind, and by itself where it says so: one of a kind may fail while another completes."""
    return "/".join(str(part) for part in (told(source.get("type")) or "unknown", told(source.get("source"))) if part)


def _parts(parts: dict[str, Any]) -> dict[str, Any]:
    return {name: {"status": parts[name]["status"], "when": parts[name]["when"]} for name in sorted(parts)}
