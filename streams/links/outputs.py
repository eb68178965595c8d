"""The records of the links stage, with their headers. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime

from models import headers, topics
from streams.engine import quarantine
from streams.engine.job import Output
from streams.links import outcome
from streams.links.bulk_csv import Row
from streams.links.departures import Departure
from streams.links.link import Link

UNREADABLE_ROW = "unreadable_row"
NOT_A_RESULT = "wrong_content"
_CE_SOURCE = "metriport-streams/links"


class Outputs:
    """Builds records under one topic prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.topics = tuple(prefix + name for name in (topics.DOCUMENTS, topics.BUNDLES, topics.BULK_PATIENTS))
        self.quarantine = prefix + topics.quarantine("links")

    def ended(self, departure: Departure) -> Iterator[Output]:
        """Yield what goes out for a link that ended, the rows of a bulk result aside."""
        link, ended = departure
        value, at = outcome.record(link, ended), ended.at or datetime.fromtimestamp(0, UTC)
        if link.kind != "bulk-result":
            topic = outcome.topic(link)
            yield Output(self._prefix + topic, link.key.encode(), value, _headers(link, topic, link.id, link.index, at))
        if outcome.is_quarantined(link, ended):
            yield self.quarantined(link, value, ended.reason or "", place=link.index)

    def row(self, link: Link, number: int, row: Row, at: datetime) -> Output:
        """Return the record of one row of a bulk result."""
        fields = {
            "patientId": row.patient_id,
            "status": row.status,
            "reason": row.reason,
            "columns": row.columns,
        }
        event = _headers(link, topics.BULK_PATIENTS, f"{link.id}/{number}", number, at)
        value = outcome.row_record(link, number, fields)
        return Output(self._prefix + topics.BULK_PATIENTS, link.key.encode(), value, event)

    def quarantined(self, link: Link, value: bytes, reason: str, *, place: int) -> Output:
        """Return the quarantine record of a link, or of one row of what it led to."""
        topic, partition, offset = link.source.rsplit("/", 2)
        event = _headers(link, "quarantine", f"{link.id}/quarantine/{place}", place, None)
        facts = [
            (quarantine.REASON, reason.encode()),
            (quarantine.TOPIC, topic.encode()),
            (quarantine.PARTITION, partition.encode()),
            (quarantine.OFFSET, offset.encode()),
            (quarantine.TIMESTAMP, b"%d" % link.timestamp_ms),
            (quarantine.ATTEMPT, b"1"),
        ]
        return Output(self.quarantine, link.key.encode(), value, [*event, *facts])


def _headers(link: Link, kind: str, ce_id: str, index: int, at: datetime | None) -> headers.Headers:
    moment = at or datetime.fromtimestamp(link.timestamp_ms / 1000, UTC)
    event = headers.cloud_event(ce_id=ce_id, source=_CE_SOURCE, kind=kind, time=headers.timestamp(moment))
    event.append((headers.SOURCE, f"{link.source}/{index}".encode()))
    for name, field in ((headers.MESSAGE_ID, "messageId"), (headers.RECEIVED_AT, "receivedAt")):
        if link.record.get(field):
            event.append((name, link.record[field].encode()))
    return event
