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
CE_SUBJECT = "ce_subject"
CHANGE = "x-change"
SEQUENCE = "x-sequence"
RESOURCE_TYPE = "x-resource-type"
IDENTITY = "x-identity"
RESOURCE_ID = "x-resource-id"
VERSION = "x-version"
PREVIOUS_VERSION = "x-previous-version"
CONTENT_HASH = "x-content-hash"
PREVIOUS_CONTENT_HASH = "x-previous-content-hash"
SUPERSEDED_BY = "x-superseded-by"
SOURCE_DOCUMENT = "x-source-document"
SNAPSHOT_ID = "x-snapshot-id"
KIND = "x-kind"
COMPLETE = "x-complete"
EXTERNAL_ID = "x-external-id"
FHIR_VERSION = "x-fhir-version"
VALIDATION = "x-validation"
BLOB = "x-blob"
RANGE = "x-range"

# What records of FHIR resources say beside the common headers.
FHIR: dict[str, str] = {
    CE_SUBJECT: "Type/identity of the resource.",
    CHANGE: "created, updated, removed, superseded; snapshot.started, removal.held, snapshot.completed: marks.",
    SEQUENCE: "Number of the change, from 1 for each patient; the same on the state record. Marks have none.",
    RESOURCE_TYPE: "FHIR's resourceType.",
    IDENTITY: "The name that stays while Metriport's ids change.",
    RESOURCE_ID: "The id that the resource has at Metriport now.",
    VERSION: "Grows by one with each content that is published under this identity.",
    PREVIOUS_VERSION: "The version that was in the state before.",
    CONTENT_HASH: "Hash of what the resource says, without the times and places of its conversion.",
    PREVIOUS_CONTENT_HASH: "That hash of what was in the state before.",
    SUPERSEDED_BY: "The identity that a superseded one was folded into.",
    SOURCE_DOCUMENT: "Metriport's ids of the documents that the resource is from, with commas between.",
    SNAPSHOT_ID: "The message whose bundle it was, or the decision.",
    KIND: "consolidated, encounter, notification; decision.",
    COMPLETE: "true if the bundle holds all there is of its kind, else false.",
    EXTERNAL_ID: "The customer's own patient id.",
    FHIR_VERSION: "4.0.1.",
    VALIDATION: "Level and verdict.",
    BLOB: "Where the received bytes are, relative to BLOB_STORE_URL; of a removed resource, its last ones.",
    RANGE: "Position of its first byte in the blob, and of the one behind its last.",
}
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
