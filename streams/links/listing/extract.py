"""List the links of one record: what is fetched, until when, and what is known of the record each becomes. Pure."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import ValidationError

from models import envelope, messages, moments, records, topics
from models.errors import Poison
from streams.links.fetching import address
from streams.links.link import EarlyOutcome, Link
from streams.links.listing import known_types, unknown_types
from streams.links.listing.deadline import deadline
from streams.links.listing.found import Found

FAR_OFF = timedelta(days=366)  # what a sender's clock says of its own deliveries, or nothing
_OF_ANOTHER_PATIENT = re.compile(r"/[1-9][0-9]*$")  # a `ce_id` ends in the patient's place in the delivery
_COMMON_ALIASES = frozenset(field.alias or name for name, field in records.Common.model_fields.items())


class Source(NamedTuple):
    """What Kafka says about a record: its position, its id, its place among its partition's deliveries, its time."""

    position: str  # `topic/partition/offset`
    ce_id: str
    order: int
    timestamp_ms: int
    released: str = ""  # where in quarantine the record stood, if it was released from there


def links(kind: str, value: bytes, source: Source) -> list[Link]:
    """Return the links in a normalized record of the delivery type `kind`; raise `Poison` if it is not of that type."""
    message = messages.TYPES[kind]
    try:
        delivery: Any = message.record.model_validate_json(value)
    except ValidationError:
        raise Poison("unknown_shape") from None
    received = moments.of_ms(source.timestamp_ms)
    return _listed(
        known_types.found(message.links, delivery),
        source,
        key=(delivery.request_id if message.scope == "bulk" else delivery.patient_id) or "",
        common={name: field for name, field in delivery.model_dump(by_alias=True).items() if name in _COMMON_ALIASES},
        kind=kind,
        sent=_moment(delivery.when, near=received) or _moment(delivery.received_at, near=received) or received,
    )


def links_of_unknown(value: bytes, source: Source, key: bytes, *, count_max: int) -> list[Link]:
    """Return the links in a delivery of an unknown type, as documents of which only their place in the body is known.

    A delivery for several patients comes once for each of them, whole; its links belong to the first.
    """
    if not count_max or _OF_ANOTHER_PATIENT.search(source.ce_id):
        return []
    body, owner = unknown_types.read(value), key.decode("utf-8", "replace")
    meta = body.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    received = moments.of_ms(source.timestamp_ms)
    return _listed(
        unknown_types.found(body, count_max=count_max),
        source,
        key=owner,
        common={
            "messageId": _text(meta.get("messageId")) or source.ce_id,
            "type": topics.UNRECOGNISED,
            "when": _text(meta.get("when")),
            "requestId": _text(meta.get("requestId")),
            "patientId": owner if owner in envelope.read(value).patient_ids else None,
        },
        kind=topics.UNRECOGNISED,
        sent=_moment(_text(meta.get("when")), near=received) or received,
    )


def topics_with_links() -> tuple[str, ...]:
    """Return the delivery types that carry links, by the names of their topics."""
    return tuple(name for name, message in messages.TYPES.items() if message.links is not None)


def _listed(
    found: Iterable[Found], source: Source, *, key: str, common: dict[str, Any], kind: str, sent: datetime
) -> list[Link]:
    received = moments.of_ms(source.timestamp_ms)
    return [
        Link(
            id=f"{source.ce_id}/{each.kind}/{index}",
            kind=each.kind,
            urls=each.urls,
            key=key,
            source=source.position,
            index=index,
            order=source.order,
            timestamp_ms=source.timestamp_ms,
            deadline=deadline(each.urls[0] if each.urls else "", kind=kind, when=sent, received=received),
            expects=each.expects,
            record=common | each.record,
            early=each.early,
            released=source.released,
        )
        for index, each in enumerate(map(_readable, found))
    ]


def _readable(found: Found) -> Found:
    """Leave out what cannot be read as a link: it needs no fetching, and no place in the table."""
    urls = tuple(url for url in found.urls if address.parse(url))
    early = found.early if urls or not found.urls else EarlyOutcome("failed", "bad_link")
    return found._replace(urls=urls, early=early)


def _text(value: object) -> str | None:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and value else None


def _moment(text: str | None, *, near: datetime) -> datetime | None:
    """Return the moment that `text` says, in UTC, unless it is none or far from the time `near` it."""
    said = moments.parse(text)
    return said if said is not None and abs(said - near) < FAR_OFF else None
