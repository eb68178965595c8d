"""What the demo posts, and what must come out of it. Pure."""

import random
import uuid
from collections import Counter
from collections.abc import Iterator
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


def posts(*, now: datetime, change: Any = lambda delivery: delivery) -> Iterator[Post]:  # noqa: ANN401 - a function
    """Yield every sample once, then one of them again, then a body that nobody can map."""
    patient_id = str(uuid.uuid4())
    first: dict[str, Any] = {}
    for number, name in enumerate(samples.names()):
        sent_at = now + timedelta(milliseconds=number)
        delivery = change(_of(sampling.fresh(samples.load(name), now=sent_at), patient_id))
        kind = delivery["meta"]["type"]
        if kind == "medical.document-download" and not first:
            first = delivery
        becomes = "the pong" if kind == "ping" else kind if kind in topics.DELIVERY_TYPES else topics.UNRECOGNISED
        yield Post(name, samples.encode(delivery), becomes)
    yield Post("the same once more, as a retry sends it", samples.encode(_as_retried(first)), "a duplicate, dropped")
    yield Post("a body nobody can map", b'{"meta":{"type":12}}', topics.quarantine("deliveries"))


def expected(sent: list[Post]) -> Counter[str]:
    """Return how many records each topic must hold after `sent`."""
    known = {topic.name for topic in topics.catalogue()}
    counts = Counter(post.becomes for post in sent if post.becomes in known)
    counts[topics.WEBHOOKS] = sum(post.becomes != "the pong" for post in sent)
    return counts


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
