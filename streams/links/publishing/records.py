"""Build the records of the links stage, with their headers. Pure."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from models import headers, keys, moments, reasons, topics
from models.reasons import LinksReason
from models.records import BulkPatient, Bundle, Document, Fetched
from streams.engine.job import Output
from streams.links.link import Ended, Link, Outcome
from streams.links.publishing.bulk_csv import Row

HEADER_BYTES_MAX = 1024  # in quarantine, which always fits
KEY_BYTES_MAX = 32 * 1024
_CE_SOURCE = "metriport-streams/links"
_TOPICS = {"document": topics.DOCUMENTS, "bundle": topics.BUNDLES}
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


class Records:
    """Builds records under one topic prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.topics = tuple(prefix + name for name in (topics.DOCUMENTS, topics.BUNDLES, topics.BULK_PATIENTS))
        self.quarantine = prefix + topics.quarantine("links")

    def ended(self, ended: Ended) -> Iterator[Output]:
        """Yield the records of a link that ended, the rows of a bulk result aside."""
        link, outcome = ended
        value, at = record(link, outcome), outcome.at or datetime.fromtimestamp(0, UTC)
        if link.kind != "bulk-result":
            topic = _TOPICS[link.kind]
            yield Output(self._prefix + topic, link.key.encode(), value, _headers(link, topic, link.id, link.index, at))
        # A bulk create has no other place to say that it failed.
        if outcome.reason in QUARANTINED or (link.kind == "bulk-result" and outcome.outcome != "stored"):
            yield self.quarantined(link, value, outcome.reason or reasons.UNPROCESSABLE, place=link.index)

    def row(self, link: Link, number: int, row: Row, at: datetime) -> Output:
        """Return the record of one row of a bulk result; `number` counts from 1."""
        fields = {
            "row": number,
            "patientId": row.patient_id,
            "status": row.status,
            "reason": row.reason,
            "columns": row.columns,
        }
        value = BulkPatient.model_validate(link.record | fields).model_dump_json(by_alias=True).encode()
        event = _headers(link, topics.BULK_PATIENTS, f"{link.id}/{number}", number, at)
        return Output(self._prefix + topics.BULK_PATIENTS, link.key.encode(), value, event)

    def quarantined(
        self, link: Link, value: bytes, reason: LinksReason, *, place: int, blob: str | None = None
    ) -> Output:
        """Return the quarantine record of a link, or of one row of what it led to; nothing but `value` makes it large.

        `blob`: where all the bytes are, if `value` is not all of them.
        """
        topic, partition, offset = link.source.rsplit("/", 2)
        event = _headers(link, "quarantine", f"{link.id}/quarantine/{place}", place, None)
        key = link.key.encode()
        facts = [
            (headers.QUARANTINE_REASON, reason.encode()),
            (headers.QUARANTINE_TOPIC, topic.encode()),
            (headers.QUARANTINE_PARTITION, partition.encode()),
            (headers.QUARANTINE_OFFSET, offset.encode()),
            (headers.QUARANTINE_TIMESTAMP, b"%d" % link.timestamp_ms),
            (headers.QUARANTINE_ATTEMPT, b"1"),
        ]
        if blob:
            facts.append((headers.BLOB, blob.encode()))
        return Output(self.quarantine, key if len(key) <= KEY_BYTES_MAX else None, value, [*map(_cut, event), *facts])

    def unreadable(self, key: bytes, value: bytes) -> Output:
        """Return the quarantine record of an entry of the table that cannot be read."""
        event = headers.cloud_event(
            ce_id=f"{hashlib.sha256(key + value).hexdigest()}/quarantine",
            source=_CE_SOURCE,
            kind="quarantine",
            time=headers.timestamp(moments.of_ms(0)),
        )
        return Output(self.quarantine, None, value, [*event, (headers.QUARANTINE_REASON, reasons.UNREADABLE.encode())])


def _cut(header: headers.Header) -> headers.Header:
    """Return a header of bounded size; an id stays one, by its hash."""
    name, value = header
    if name == headers.CE_ID:
        return name, keys.short(value, bytes_max=HEADER_BYTES_MAX)
    return name, value[:HEADER_BYTES_MAX]


def _headers(link: Link, kind: str, ce_id: str, index: int, at: datetime | None) -> headers.Headers:
    time = headers.timestamp(at or moments.of_ms(link.timestamp_ms))
    event = headers.cloud_event(ce_id=ce_id, source=_CE_SOURCE, kind=kind, time=time)
    event.append((headers.SOURCE, f"{link.source}/{index}".encode()))
    for name, field in ((headers.MESSAGE_ID, "messageId"), (headers.RECEIVED_AT, "receivedAt")):
        if link.record.get(field):
            event.append((name, link.record[field].encode()))
    if link.released:
        event.append((headers.RELEASED, link.released.encode()))
    return event
