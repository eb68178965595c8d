"""What must come out for what went in, worked out apart from the service and simply: no stage's code is used."""

import json
from collections import Counter, defaultdict
from typing import Any

from models import messages, topics
from tests.faults.posts import Post

PENDING = ("processing", "waiting")


class Expected:
    """Takes posts in the order in which `webhooks` holds them."""

    def __init__(self) -> None:
        self.ids: dict[tuple[str, str], list[str]] = defaultdict(list)  # topic, key -> message ids in order
        self.metadata: dict[tuple[str, str], Any] = {}  # message id, key -> what the first of it told
        self.unrecognised: list[bytes] = []
        self.poison: Counter[bytes] = Counter()
        self.duplicates = 0
        self._told: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)  # topic of states, key -> facts
        self._seen: set[tuple[str, int]] = set()

    def take(self, post: Post, received_at: str) -> None:
        """Take one delivery, with all the patients it names."""
        if post.poison:
            self.poison[post.body] += 1
            return
        delivery = json.loads(post.body)
        meta = delivery["meta"]
        parts = delivery.get("patients") or [delivery.get("payload") or delivery["bulkPatientCreate"]]
        for index, part in enumerate(parts):
            if (meta["messageId"], index) in self._seen:
                self.duplicates += 1
                continue
            self._seen.add((meta["messageId"], index))
            if meta["type"] not in topics.DELIVERY_TYPES:
                self.unrecognised.append(post.body)
                continue
            job = meta["type"] == topics.BULK_PATIENT_CREATE
            key = part["requestId"] if job else part["patientId"]
            self.ids[meta["type"], key].append(meta["messageId"])
            self.metadata[meta["messageId"], key] = meta.get("data")
            # Metriport's request id is the message's, not the patient's.
            fact = {**(part.get("source") or {}), **part, **meta, "receivedAt": received_at}
            self._told[topics.BULK_JOBS if job else topics.PATIENTS, key].append(fact)

    def states(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what `patients` and `bulk-jobs` must hold in the end, by topic and key."""
        return {
            (topic, key): _job(key, told) if topic == topics.BULK_JOBS else _patient(key, told)
            for (topic, key), told in self._told.items()
        }


def _patient(patient_id: str, told: list[dict[str, Any]]) -> dict[str, Any]:
    by_age = sorted(told, key=_age)
    nothing = {"stored": 0, "expired": 0, "failed": 0, "newest": None}
    by_type = {fact["type"]: [one for one in by_age if one["type"] == fact["type"]] for fact in by_age}
    return {
        "patientId": patient_id,
        "externalId": _newest(by_age, "externalId"),
        "additionalIds": _newest(by_age, "additionalIds"),
        "metadata": _newest(by_age, "data"),
        "messages": {kind: _message(facts) for kind, facts in by_type.items()},
        "documents": nothing,
        "bundles": nothing,
        "encounters": _encounters([fact for fact in by_age if messages.TYPES[fact["type"]].is_stay]),
        "resources": {},
        "rejected": 0,
        "lastCompleteSnapshot": None,
        "firstSeen": min(fact["receivedAt"] for fact in told),
        "lastSeen": max(fact["receivedAt"] for fact in told),
    }


def _job(request_id: str, told: list[dict[str, Any]]) -> dict[str, Any]:
    by_age = sorted(told, key=_age)
    status = _message(by_age)["status"]
    return {"requestId": request_id, "status": status, "counts": {}, "when": by_age[-1]["when"]}


def _age(fact: dict[str, Any]) -> tuple[str, str]:
    return fact["when"], fact["messageId"]


def _newest(by_age: list[dict[str, Any]], field: str) -> Any:
    return next((fact[field] for fact in reversed(by_age) if fact.get(field) is not None), None)


def _message(by_age: list[dict[str, Any]]) -> dict[str, Any]:
    """A final status stands against any `processing`; among equals the newest counts."""
    final = [fact for fact in by_age if fact.get("status") not in PENDING]
    said = (final or by_age)[-1]
    pages = [fact["pagination"] for fact in by_age if fact["requestId"] == said["requestId"] and "pagination" in fact]
    numbers = {page["page"] for page in pages}
    seen = {"seen": len(numbers), "total": max(page["totalPages"] for page in pages)} if pages else None
    return {**{field: said.get(field) for field in ("status", "requestId", "when")}, "pages": seen}


def _encounters(by_age: list[dict[str, Any]]) -> list[dict[str, Any]]:
    stays: dict[str, dict[str, Any]] = {}
    for fact in by_age:
        stay = stays.setdefault(fact["admitTimestamp"], {"transfers": {}, "discharge": None})
        stay["discharge"] = fact.get("dischargeTimestamp") or stay["discharge"]
        stay["transfers"] |= {one["timestamp"]: one for one in fact.get("transfers") or ()}
    return [
        {
            "admit": admit,
            "transfers": [stay["transfers"][at] for at in sorted(stay["transfers"])],
            "discharge": stay["discharge"],
        }
        for admit, stay in sorted(stays.items())
    ]
