"""Find the links in a delivery of a known type, by the rule of its entry in `models.messages`. Pure."""

from collections.abc import Iterator
from typing import Any

from models import messages, records
from streams.links import content_type
from streams.links.link import EarlyOutcome
from streams.links.listing.found import Found

GZIP = "application/gzip"
FORMATS = {"application/json": "json", GZIP: "json", "application/pdf": "pdf", "text/html": "html"}


def found(rule: messages.Links | None, delivery: Any) -> Iterator[Found]:  # noqa: ANN401 - a record of its type
    """Yield the links that a delivery carries by the `rule` of its type, readable or not."""
    match rule:
        case messages.DocumentLinks():
            yield from _documents(delivery)
        case messages.OfferedLinks():
            yield from _consolidated(delivery)
        case messages.BundleLink():
            yield _bundle(delivery, rule)
        case messages.BulkResultLink():
            if delivery.result:
                yield Found("bulk-result", _urls(delivery.result), "text", {})


def _documents(delivery: records.DocumentBulkDownloadUrls | records.DocumentBulkDownloadPaged) -> Iterator[Found]:
    for entry in delivery.documents or ():
        urls = _urls(entry.url, getattr(entry, "download_url", None))
        yield Found(
            "document",
            urls,
            content_type.declared(entry.mime_type),
            {"documentId": entry.id, "fileName": entry.file_name, "mimeType": entry.mime_type},
            None if urls else EarlyOutcome("failed", "no_link"),
        )


def _consolidated(delivery: records.ConsolidatedData) -> Iterator[Found]:
    """One bundle per format that is offered; a failed or empty query is a bundle record too, without a link."""
    filters = delivery.filters
    facts = {
        "kind": "consolidated",
        "filters": filters.model_dump(by_alias=True) if filters else None,
        "complete": filters is not None and not (filters.resources or filters.date_from or filters.date_to),
    }
    asked = filters.conversion_type if filters and filters.conversion_type in FORMATS.values() else "json"
    if delivery.status == "failed":
        yield Found("bundle", (), "unknown", facts | {"format": asked}, EarlyOutcome("failed", "query_failed"))
        return
    offered = _offered(delivery.bundle or {})
    for name, urls in offered.items():
        expects: Any = name
        yield Found("bundle", urls, expects, facts | {"format": name})
    if not offered:
        empty = isinstance(delivery.bundle, dict) and not delivery.bundle.get("entry")
        early = EarlyOutcome("stored") if empty else EarlyOutcome("failed", "no_link")
        yield Found("bundle", (), "unknown", facts | {"format": asked}, early)


def _offered(bundle: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the links by format, gzip before plain: smaller, and so sooner here. Found by type, not by place."""
    attachments = [
        content.get("attachment")
        for entry in _objects(bundle.get("entry"))
        for content in _objects(_object(entry.get("resource")).get("content"))
    ]
    by_format: dict[str, list[str]] = {}
    for attachment in sorted(map(_object, attachments), key=lambda item: item.get("contentType") != GZIP):
        kind, url = attachment.get("contentType"), attachment.get("url")
        if isinstance(url, str) and url and isinstance(kind, str) and kind in FORMATS:
            by_format.setdefault(FORMATS[kind], []).append(url)
    return {name: tuple(urls) for name, urls in by_format.items()}


def _bundle(delivery: records.Common, rule: messages.BundleLink) -> Found:
    facts = {"kind": rule.kind, "format": "json", "filters": None, "complete": rule.complete}
    fields = delivery.model_dump(by_alias=True)
    url, status = fields.get(rule.field), fields.get("status")
    if rule.needs_status and status and status != rule.needs_status:
        return Found("bundle", (), "json", facts, EarlyOutcome("failed", "source_failed"))
    return Found("bundle", _urls(url), "json", facts, None if url else EarlyOutcome("failed", "no_link"))


def _urls(*urls: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(url for url in urls if url))


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
