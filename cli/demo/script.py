"""What the demo posts, and what must come out of it. Pure."""

import random
import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cli import sampling
from models import samples, topics


@dataclass(frozen=True)
class Post:
    """One delivery of the demo, and the topics that must hold a record of it."""

    name: str
    body: bytes
    becomes: str


DUPLICATE = "a duplicate, dropped"

# What the links of one delivery lead to, beyond its own record.
_BEHIND_LINKS = {
    "medical.document-bulk-download-urls": {topics.DOCUMENTS: 1},
    "medical.consolidated-data": {topics.BUNDLES: 1, topics.FHIR_SNAPSHOTS: 1},
    "medical.consolidated-data.empty": {topics.BUNDLES: 1, topics.FHIR_SNAPSHOTS: 1},
    "medical.consolidated-data.whole": {topics.BUNDLES: 1, topics.FHIR_SNAPSHOTS: 1},
    "medical.consolidated-data.failed": {topics.BUNDLES: 1},
    "medical.consolidated-data.pdf": {topics.BUNDLES: 1},
    "patient.admit": {topics.BUNDLES: 1, topics.FHIR_SNAPSHOTS: 1},
    "patient.transfer": {topics.BUNDLES: 1, topics.FHIR_SNAPSHOTS: 1},
    "patient.discharge": {topics.BUNDLES: 1, topics.FHIR_SNAPSHOTS: 1},
    "medical.bulk-patient-create": {topics.BULK_PATIENTS: 3},
}


def posts(*, now: datetime, links: str) -> Iterator[Post]:
    """Yield every sample once, one of them again, and a body nobody can map; `links` is who serves links."""
    patient_id = str(uuid.uuid4())
    for number, name in enumerate(samples.names()):
        sent_at = now + timedelta(milliseconds=number)
        sample = _of(sampling.fresh(samples.load(name), now=sent_at), patient_id)
        delivery = sampling.served_by(sample, f"{links}/{patient_id}")
        kind = delivery["meta"]["type"]
        becomes = "the pong" if kind == "ping" else kind if kind in topics.DELIVERY_TYPES else topics.UNRECOGNISED
        yield Post(name, samples.encode(delivery), becomes)
        if name == "medical.document-download":
            # Before the patient's next one: when that has come out, this one has been dropped, or it has not.
            yield Post("the same, as a retry sends it", samples.encode(_as_retried(delivery)), DUPLICATE)
    yield Post("a body nobody can map", b'{"meta":{"type":12}}', topics.quarantine("deliveries"))


def expected(sent: list[Post]) -> Counter[str]:
    """Return how many records each topic must hold after `sent`."""
    known = {topic.name for topic in topics.catalogue()}
    counts = Counter(post.becomes for post in sent if post.becomes in known)
    counts[topics.WEBHOOKS] = sum(post.becomes != "the pong" for post in sent)
    for post in sent:
        counts.update(_BEHIND_LINKS.get(post.name, {}))
    return counts


def complete(expected: Counter[str], counts: Counter[str], states: Collection[dict[str, Any]]) -> bool:
    """Tell whether every topic holds what it must and no more, and one patient's state knows of all of it."""
    if any(counts[topic] != count for topic, count in expected.items()):
        return False
    return any(
        len(state.get("messages", {})) == len(topics.PER_PATIENT_TYPES)
        and _counted(state["documents"]) == expected[topics.DOCUMENTS]
        and _counted(state["bundles"]) == expected[topics.BUNDLES]
        and state["resources"]
        for state in states
    ) and any(_rows(state) == expected[topics.BULK_PATIENTS] for state in states)


def _counted(counts: dict[str, Any]) -> int:
    return sum(counts[outcome] for outcome in ("stored", "expired", "failed"))


def _rows(state: dict[str, Any]) -> int:
    return sum(state.get("counts", {}).values())


def _of(delivery: dict[str, Any], patient_id: str) -> dict[str, Any]:
    """Return the delivery, about one patient of the demo's own."""
    for part in (*delivery.get("patients", ()), delivery.get("payload", {})):
        if "patientId" in part:
            part["patientId"] = patient_id
    return delivery


def _as_retried(delivery: dict[str, Any]) -> dict[str, Any]:
    """Return the delivery as Metriport's manual retry sends it: keys in another order, `meta.data` gone."""
    meta = {name: value for name, value in delivery["meta"].items() if name != "data"}
    names = list(delivery)
    random.Random(0).shuffle(names)  # noqa: S311 - an order, not a secret
    return {name: meta if name == "meta" else delivery[name] for name in reversed(names)}
