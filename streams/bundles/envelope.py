"""Makes the records of one bundle as Kafka gets them: with the prefix of the topic, and the headers that all have."""

from models import headers, moments, records
from models.headers import Header
from streams.engine.job import Output


class Envelope:
    """What every record of one bundle has in common."""

    def __init__(self, prefix: str, bundle: records.Bundle) -> None:
        self._prefix = prefix
        self._key = (bundle.patient_id or "").encode()
        self._message_id = bundle.message_id
        self._made: dict[tuple[str, str, bytes], tuple[str, list[Header]]] = {}
        # Only the id, the type and the kind of content differ from record to record.
        event = headers.cloud_event(
            ce_id="",
            source="metriport-streams/bundles",
            kind="",
            time=moments.first(bundle.when, bundle.received_at),
        )
        self._common = [
            header for header in event if header[0] not in {headers.CE_ID, headers.CE_TYPE, headers.CONTENT_TYPE}
        ]
        self._common.append((headers.MESSAGE_ID, bundle.message_id.encode()))
        if bundle.received_at:
            self._common.append((headers.RECEIVED_AT, bundle.received_at.encode()))

    def record(
        self,
        topic: str,
        about: str,
        value: bytes | None,
        content_type: bytes,
        own: list[Header],
        *,
        key: str = "",
        change: str = "",
    ) -> Output:
        """Return a record; `about` says which one of its topic it is. Its key is the patient's id, or `key`."""
        name, shared = self._made.get((topic, change, content_type)) or self._make(topic, change, content_type)
        ce_id = (headers.CE_ID, f"{topic}/{self._message_id}/{about}".encode())
        return Output(name, key.encode() if key else self._key, value, [ce_id, *shared, *own])

    def _make(self, topic: str, change: str, content_type: bytes) -> tuple[str, list[Header]]:
        """Return the topic's name and what its records share: most of what a record has, made once."""
        kind = f"{topic}.{change}" if change else topic
        shared = [(headers.CE_TYPE, kind.encode()), (headers.CONTENT_TYPE, content_type), *self._common]
        self._made[topic, change, content_type] = (self._prefix + topic, shared)
        return self._made[topic, change, content_type]
