"""Makes a record as Kafka gets it of an output: with the prefix of its topic, and the headers that all have."""

from models import headers, records
from streams.bundles import outputs
from streams.engine.job import Output


class Envelope:
    """What every record of one bundle has in common."""

    def __init__(self, prefix: str, bundle: records.Bundle) -> None:
        self._prefix = prefix
        self._message_id = bundle.message_id
        # Only the id, the type and the kind of content differ from record to record.
        event = headers.cloud_event(
            ce_id="",
            source="metriport-streams/bundles",
            kind="",
            time=bundle.when or bundle.received_at or "1970-01-01T00:00:00.000Z",
        )
        self._common = [header for header in event if header[0] not in {headers.CE_ID, "ce_type", "content-type"}]
        self._common.append((headers.MESSAGE_ID, bundle.message_id.encode()))
        if bundle.received_at:
            self._common.append((headers.RECEIVED_AT, bundle.received_at.encode()))

    def around(self, output: outputs.Output, about: str) -> Output:
        """Return the record as Kafka gets it; `about` says which one of its topic it is."""
        own = [
            (headers.CE_ID, f"{output.topic}/{self._message_id}/{about}".encode()),
            ("ce_type", output.topic.encode()),
            ("content-type", output.content_type),
        ]
        return Output(
            self._prefix + output.topic, output.key.encode(), output.value, own + self._common + output.headers
        )
