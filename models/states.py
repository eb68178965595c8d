"""What the compacted topics hold: the newest state of a patient, and of a bulk job."""

from typing import Any, Literal

from pydantic import Field

from models.messages import RequestKind
from models.records import Record


class Pages(Record):
    """How many of the pages of one request have come."""

    seen: int
    total: int


class MessageState(Record):
    """The newest that Metriport said in one message type."""

    status: str | None = None
    request_id: str | None = None
    when: str | None = None
    pages: Pages | None = Field(None, description="Of that request, where it comes in pages.")


class OutcomeCounts(Record):
    """How many there are by outcome, and when the newest came."""

    stored: int = 0
    expired: int = 0
    failed: int = 0
    newest: str | None = None


class Encounter(Record):
    """One stay, pieced together from admit, transfer and discharge messages; open while `discharge` is null."""

    admit: str | None = None
    transfers: list[dict[str, Any]] = Field(default_factory=list)
    discharge: str | None = None


class PatientState(Record):
    """`patients`: what is known of one patient. Key: `patientId`."""

    patient_id: str
    external_id: str | None = None
    additional_ids: dict[str, list[Any]] | None = None
    metadata: dict[str, Any] | None = Field(None, description="The newest that was told; never lost to a retry.")
    messages: dict[str, MessageState] = Field(default_factory=dict, description="By message type.")
    documents: OutcomeCounts = Field(default_factory=OutcomeCounts)
    bundles: OutcomeCounts = Field(default_factory=OutcomeCounts)
    encounters: list[Encounter] = Field(default_factory=list, description="Oldest first.")
    resources: dict[str, int] = Field(default_factory=dict, description="FHIR resources by type.")
    rejected: int = Field(0, description="Resources of the last complete snapshot that were not valid.")
    last_complete_snapshot: str | None = Field(None, description="`snapshotId` of the newest complete snapshot.")
    first_seen: str | None = None
    last_seen: str | None = None


class RequestPart(Record):
    """What one message type, or one source, said of a request."""

    status: str | None = None
    when: str | None = None


class RequestState(Record):
    """`requests`: what was asked of Metriport for one patient, and what has come of it. Key: `patientId/requestId`."""

    request_id: str
    patient_id: str
    kind: RequestKind
    status: str | None = Field(
        None, description="`processing` while something is awaited; `partial`: some of it completed, some failed."
    )
    messages: dict[str, RequestPart] = Field(default_factory=dict, description="What came, by message type.")
    sources: dict[str, RequestPart] = Field(
        default_factory=dict,
        description="Of a network query: the sources that ended, as `hie`, `pharmacy/surescripts`.",
    )
    pages: Pages | None = None
    awaited: dict[str, str | None] = Field(
        default_factory=dict, description="What must still come, by message type, or `pages`; and since when."
    )
    first_seen: str | None = None
    last_seen: str | None = None


DriftKind = Literal["unknown_type", "unknown_field", "other_json_type", "unknown_value", "missing_field", "too_many"]


class Drift(Record):
    """`drift`: a difference between what Metriport sends and what is known here. Key: `type/path/partition`.

    Written when it is seen for the first time, and whenever its count is a power of ten: it may say less than there is.
    """

    type: str = Field(description="The message type; `*` where it does not look like one.")
    path: str = Field(
        description="Where: `[]` for the places of a list, `*` for the names of an open map and for what does not look "
        "like a field's name."
    )
    partition: int = Field(description="Of `webhooks`: what it was seen in.")
    kind: DriftKind = Field(description="What this record was written for; `too_many`: more than are told apart.")
    count: int = Field(description="Deliveries that differ in this place.")
    counts: dict[DriftKind, int] = Field(description="The same by kind.")
    first_seen: str | None = None
    last_seen: str | None = None
    message_id: str | None = Field(description="A message that differs so: `webhooks` has it.")


class BulkJobState(Record):
    """`bulk-jobs`: what is known of one bulk patient create. Key: `requestId`."""

    request_id: str
    status: str | None = None
    counts: dict[str, int] = Field(default_factory=dict, description="Rows by status.")
    when: str | None = None
