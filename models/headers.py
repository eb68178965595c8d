"""Record headers: CloudEvents 1.0 in binary mode, and where a record came from.

`ce_id` is derived from the input alone, so a record written twice says so itself.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

Header = tuple[str, bytes]
Headers = list[Header]

MESSAGE_ID = "x-message-id"
RECEIVED_AT = "x-received-at"
PATIENT_INDEX = "x-patient-index"
SOURCE = "x-source"
CE_ID = "ce_id"
JSON = b"application/json"
_SPEC_VERSION = ("ce_specversion", b"1.0")


def cloud_event(*, ce_id: str, source: str, kind: str, time: str, content_type: bytes = JSON) -> Headers:
    """Return the CloudEvents headers of one record."""
    return [id_of(ce_id), *about(source=source, kind=kind, time=time, content_type=content_type)]


def id_of(ce_id: str) -> Header:
    """Return the one CloudEvents header that no two records share."""
    return (CE_ID, ce_id.encode())


def about(*, source: str, kind: str, time: str, content_type: bytes = JSON) -> Headers:
    """Return the other CloudEvents headers, which records of one origin share."""
    return [
        _SPEC_VERSION,
        ("ce_source", source.encode()),
        ("ce_type", kind.encode()),
        ("ce_time", time.encode()),
        ("content-type", content_type),
    ]


def value(headers: Sequence[tuple[str, bytes | None]], name: str) -> str | None:
    """Return the last header called `name` as text, or None; Kafka lets a header have no value."""
    raw = next((raw for key, raw in reversed(headers) if key == name), None)
    return None if raw is None else raw.decode("utf-8", "replace")


def timestamp(moment: datetime) -> str:
    """Return `moment` the way Metriport writes times: UTC, milliseconds, `Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
