"""What a link that ended becomes: the record other teams read, and the quarantine record where something was wrong."""

from typing import Any

from models import headers, records, topics
from models.records import Bundle, Document, Fetched
from streams.links.link import Link, Outcome

_TOPICS = {"document": topics.DOCUMENTS, "bundle": topics.BUNDLES, "bulk-result": topics.BULK_PATIENTS}
_MODELS: dict[str, type[Fetched]] = {"document": Document, "bundle": Bundle, "bulk-result": Fetched}
# What came is not what it should be: worth a person's look, and the bytes are kept where there are any.
QUARANTINED = frozenset(
    {
        "truncated",
        "bad_answer",
        "wrong_content",
        "wrong_encoding",
        "wrong_hash",
        "too_large",
        "too_inflated",
        "too_costly",
    }
)


def topic(link: Link) -> str:
    """Return the topic (without prefix) that the link's record goes to."""
    return _TOPICS[link.kind]


def record(link: Link, outcome: Outcome) -> bytes:
    """Return the value of the `documents` or `bundles` record; never the link itself."""
    body = outcome.body
    empty = link.early is not None and link.early.outcome == "stored"
    fields: dict[str, Any] = link.record | {
        "bytes": body.bytes if body else 0 if empty else None,
        "sha256": body.sha256 if body else None,
        "blob": body.blob if body else None,
        "etag": body.etag if body else None,
        "lastModified": body.last_modified if body else None,
        "deadline": headers.timestamp(link.deadline) if link.urls else None,
        "fetchedAt": headers.timestamp(outcome.at) if outcome.at else None,
        "outcome": outcome.outcome,
        "reason": outcome.reason,
    }
    return _MODELS[link.kind].model_validate(fields).model_dump_json(by_alias=True).encode()


def is_quarantined(link: Link, outcome: Outcome) -> bool:
    """Tell whether a quarantine record goes out as well. A bulk job has no other place to say that it failed."""
    return outcome.reason in QUARANTINED or (link.kind == "bulk-result" and outcome.outcome != "stored")


def row_record(link: Link, row: int, fields: dict[str, Any]) -> bytes:
    """Return the value of one `bulk-patients` record."""
    values = link.record | fields | {"row": row}
    return records.BulkPatient.model_validate(values).model_dump_json(by_alias=True).encode()
