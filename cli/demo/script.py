"""What the demo posts, and what must come out of it. Pure."""

import json
import random
import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cli import sampling
from models import samples, topics
from streams.deliveries.normalize import normalize
from streams.links.listing import extract


@dataclass(frozen=True)
class Post:
    """One delivery of the demo, and the topics that must hold a record of it."""

    name: str
    body: bytes
    becomes: str


DUPLICATE = "a duplicate, dropped"

WHOLE = "medical.consolidated-data.whole"
ROWS = 3  # of the bulk result that the demo's links lead to


def posts(*, now: datetime, links: str) -> Iterator[Post]:
    """Yield every sample once, one of them again, and a body nobody can map; `links` is who serves links."""
    patient_id = str(uuid.uuid4())
    # The whole record comes last: it says what there is, whatever the parts of it came to before.
    for number, name in enumerate(sorted(samples.names(), key=lambda name: name == WHOLE)):
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
        counts.update(behind_links(post))
    return counts


def behind_links(post: Post) -> Counter[str]:
    """Return what the links of one delivery lead to, beyond its own record."""
    counts: Counter[str] = Counter()
    if post.becomes not in extract.topics_with_links():
        return counts
    found = normalize(json.loads(post.body), index=0, received_at=None)
    for link in extract.links(found.topic, found.value or b"", extract.Source("demo/0/0", "demo", 0, 0)):
        if link.kind == "bulk-result":
            counts[topics.BULK_PATIENTS] += ROWS
            continue
        counts[topics.DOCUMENTS if link.kind == "document" else topics.BUNDLES] += 1
        is_failure = link.early is not None and link.early.outcome == "failed"
        if link.kind == "bundle" and link.record["format"] == "json" and not is_failure:
            counts[topics.FHIR_SNAPSHOTS] += 1
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
