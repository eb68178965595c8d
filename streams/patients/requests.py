"""What one message changes in what is known of the request that it answers. Pure, and a fold like `patient`.

A request is a patient's network query, document query, query for links or consolidated query, by whomever it was
started: Metriport's schedules start some, too.

The state, as JSON: `patientId`, `requestId`, `kind`, `messages` and `sources` (each by name: `status`, `when`, `rank`),
`pages` (`total`, `seen`: a list of numbers), `firstSeen`, `lastSeen`.
"""

from typing import Any

from models import messages
from streams.patients.versions import earliest, latest, status_rank, told, version, within

State = dict[str, Any]

PAGES_MAX = 10_000  # a larger page number is not believed

_DOWNLOAD, _CONVERSION = "medical.document-download", "medical.document-conversion"
_FIRST_DATA, _EXCHANGES = "network-query.hie.first-data-ready", "network-query.hie"


def request_id(topic: str, record: dict[str, Any]) -> str | None:
    """Return the request that a record of `topic` answers, None if it answers none."""
    kind = messages.TYPES.get(topic)
    answered = record.get("requestId") if kind is not None and kind.answers else None
    return answered if isinstance(answered, str) and answered else None


def fold(state: State | None, topic: str, record: dict[str, Any]) -> State:
    """Return the request's state after `record` of `topic`."""
    state = state or {"patientId": record["patientId"], "requestId": record["requestId"], "messages": {}, "sources": {}}
    kind = messages.TYPES[topic].answers or ""
    state["kind"] = min(kind, state.get("kind", kind))
    seen = told(record.get("receivedAt")) or told(record.get("when"))
    state["firstSeen"] = earliest(state.get("firstSeen"), seen)
    state["lastSeen"] = latest(state.get("lastSeen"), seen)
    _keep(state["messages"], topic, record, told(record.get("status")))
    if topic != _FIRST_DATA and isinstance(source := record.get("source"), dict):
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
    """Return the state as the `requests` topic shows it."""
    awaited = _awaited(state)
    ended = state["sources"] or {name: part for name, part in state["messages"].items() if name != _FIRST_DATA}
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
    if _FIRST_DATA in known and _EXCHANGES not in known:
        awaited[_EXCHANGES] = known[_FIRST_DATA]["when"]
    if _DOWNLOAD in known and _CONVERSION not in known and known[_DOWNLOAD]["status"] != "failed":
        awaited[_CONVERSION] = known[_DOWNLOAD]["when"]
    if _CONVERSION in known and _DOWNLOAD not in known:
        awaited[_DOWNLOAD] = known[_CONVERSION]["when"]
    if (pages := state.get("pages")) and len(pages["seen"]) < pages["total"]:
        awaited["pages"] = state["firstSeen"]
    return awaited


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
