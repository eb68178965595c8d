"""What a delivery asks to be fetched. Pure: one normalized record in, its links out."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import ValidationError

from models import envelope, messages, records, topics
from models.errors import Poison
from streams.links import content_type
from streams.links.fetching import address
from streams.links.link import EarlyOutcome, Link, moment
from streams.links.listing import unknown_types
from streams.links.listing.deadline import deadline

GZIP = "application/gzip"
FAR_OFF = timedelta(days=366)  # what a sender's clock says of its own deliveries, or nothing
_OF_ANOTHER_PATIENT = re.compile(r"/[1-9][0-9]*$")  # a `ce_id` ends in the patient's place in the delivery
FORMATS = {"application/json": "json", GZIP: "json", "application/pdf": "pdf", "text/html": "html"}


class Source(NamedTuple):
    """What Kafka says about a record: its position, its id, its place among its partition's deliveries, its time."""

    position: str
    ce_id: str
    order: int
    timestamp_ms: int


class _Found(NamedTuple):
    kind: Any
    urls: tuple[str, ...]
    expects: content_type.Kind
    record: dict[str, Any]
    early: EarlyOutcome | None = None


def links(kind: str, value: bytes, source: Source) -> list[Link]:
    """Return the links in a normalized record of the delivery type `kind`, the most urgent kinds being the caller's.

    Raise `Poison` if the record is not of that type.
    """
    told = messages.TYPES[kind]
    try:
        delivery: Any = told.record.model_validate_json(value)
    except ValidationError:
        raise Poison("unknown_shape") from None
    common = {name: field for name, field in delivery.model_dump(by_alias=True).items() if name in _COMMON_ALIASES}
    key = delivery.request_id if told.scope == "bulk" else delivery.patient_id
    received = moment(source.timestamp_ms)
    sent = _moment(delivery.when, near=received) or _moment(delivery.received_at, near=received) or received
    return [
        Link(
            id=f"{source.ce_id}/{found.kind}/{index}",
            kind=found.kind,
            urls=found.urls,
            key=key or "",
            source=source.position,
            index=index,
            order=source.order,
            timestamp_ms=source.timestamp_ms,
            deadline=deadline(found.urls[0] if found.urls else "", kind=kind, when=sent, received=received),
            expects=found.expects,
            record=common | found.record,
            early=found.early,
        )
        for index, found in enumerate(map(_readable, _carried(told.links, delivery)))
    ]


def links_of_unknown(value: bytes, source: Source, key: bytes, *, count_max: int) -> list[Link]:
    """Return the links in a delivery of an unknown type, as documents of which only their place in the body is known.

    A delivery for several patients comes once for each of them, whole; its links belong to the first.
    """
    if not count_max or _OF_ANOTHER_PATIENT.search(source.ce_id):
        return []
    body, owner = unknown_types.read(value), key.decode("utf-8", "replace")
    told = body.get("meta")
    told = told if isinstance(told, dict) else {}
    received = moment(source.timestamp_ms)
    sent = _moment(_text(told.get("when")), near=received) or received
    common = {
        "messageId": _text(told.get("messageId")) or source.ce_id,
        "type": topics.UNRECOGNISED,
        "when": _text(told.get("when")),
        "requestId": _text(told.get("requestId")),
        "patientId": owner if owner in envelope.read(value).patient_ids else None,
    }
    return [
        Link(
            id=f"{source.ce_id}/document/{index}",
            kind="document",
            urls=(found.url,) if found.early is None else (),
            key=owner,
            source=source.position,
            index=index,
            order=source.order,
            timestamp_ms=source.timestamp_ms,
            deadline=deadline(found.url, kind=topics.UNRECOGNISED, when=sent, received=received),
            expects="unknown",
            record=common | {"path": found.path},
            early=found.early,
        )
        for index, found in enumerate(unknown_types.found(body, count_max=count_max))
    ]


def topics_with_links() -> tuple[str, ...]:
    """Return the delivery types that carry links, by the names of their topics."""
    return tuple(name for name, told in messages.TYPES.items() if told.links is not None)


def _carried(rule: messages.Links | None, delivery: Any) -> Iterator[_Found]:  # noqa: ANN401 - a record of its type
    match rule:
        case messages.DocumentLinks():
            yield from _documents(delivery)
        case messages.OfferedLinks():
            yield from _consolidated(delivery)
        case messages.BundleLink():
            yield _bundle(delivery, rule)
        case messages.BulkResultLink():
            yield from _bulk_result(delivery)


def _readable(found: _Found) -> _Found:
    """Leave out what cannot be read as a link: it needs no fetching, and no place in the table."""
    urls = tuple(url for url in found.urls if address.parse(url))
    return found._replace(
        urls=urls, early=found.early if urls or not found.urls else EarlyOutcome("failed", "bad_link")
    )


def _documents(delivery: records.DocumentBulkDownloadUrls | records.DocumentBulkDownloadPaged) -> Iterator[_Found]:
    for entry in delivery.documents or ():
        urls = _urls(entry.url, getattr(entry, "download_url", None))
        yield _Found(
            "document",
            urls,
            content_type.declared(entry.mime_type),
            {"documentId": entry.id, "fileName": entry.file_name, "mimeType": entry.mime_type},
            None if urls else EarlyOutcome("failed", "no_link"),
        )


def _consolidated(delivery: records.ConsolidatedData) -> Iterator[_Found]:
    """One bundle per format that is offered; a failed or empty query is a bundle record too, without a link."""
    filters = delivery.filters
    facts = {
        "kind": "consolidated",
        "filters": filters.model_dump(by_alias=True) if filters else None,
        "complete": filters is not None and not (filters.resources or filters.date_from or filters.date_to),
    }
    asked = filters.conversion_type if filters and filters.conversion_type in FORMATS.values() else "json"
    if delivery.status == "failed":
        yield _Found("bundle", (), "unknown", facts | {"format": asked}, EarlyOutcome("failed", "query_failed"))
        return
    offered = _offered(delivery.bundle or {})
    for name, urls in offered.items():
        expects: Any = name
        yield _Found("bundle", urls, expects, facts | {"format": name})
    if not offered:
        empty = isinstance(delivery.bundle, dict) and not delivery.bundle.get("entry")
        early = EarlyOutcome("stored") if empty else EarlyOutcome("failed", "no_link")
        yield _Found("bundle", (), "unknown", facts | {"format": asked}, early)


def _offered(bundle: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the links by format, gzip before plain: smaller, and so sooner here. Found by type, not by place."""
    attachments = [
        content.get("attachment")
        for entry in _objects(bundle.get("entry"))
        for content in _objects(_object(entry.get("resource")).get("content"))
    ]
    found: dict[str, list[str]] = {}
    for attachment in sorted(map(_object, attachments), key=lambda item: item.get("contentType") != GZIP):
        kind, url = attachment.get("contentType"), attachment.get("url")
        if isinstance(url, str) and url and isinstance(kind, str) and kind in FORMATS:
            found.setdefault(FORMATS[kind], []).append(url)
    return {name: tuple(urls) for name, urls in found.items()}


def _bundle(delivery: records.Common, rule: messages.BundleLink) -> _Found:
    facts = {"kind": rule.kind, "format": "json", "filters": None, "complete": rule.complete}
    fields = delivery.model_dump(by_alias=True)
    url, status = fields.get(rule.field), fields.get("status")
    if rule.needs_status and status and status != rule.needs_status:
        return _Found("bundle", (), "json", facts, EarlyOutcome("failed", "source_failed"))
    return _Found("bundle", _urls(url), "json", facts, None if url else EarlyOutcome("failed", "no_link"))


def _bulk_result(delivery: records.BulkPatientCreate) -> Iterator[_Found]:
    if delivery.result:
        yield _Found("bulk-result", _urls(delivery.result), "text", {})


def _urls(*urls: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(url for url in urls if url))


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and value else None


def _moment(text: str | None, *, near: datetime) -> datetime | None:
    """Return the moment that `text` says, in UTC, unless it is none or far from the time `near` it."""
    try:
        said = datetime.fromisoformat(text or "")
        said = said.astimezone(UTC) if said.tzinfo else said.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return said if abs(said - near) < FAR_OFF else None


_COMMON_ALIASES = frozenset(field.alias or name for name, field in records.Common.model_fields.items())
