"""What the compacted topics hold: the newest state of a patient, and of a bulk job."""

from typing import Any

from pydantic import Field

from models.records import Record


class MessageState(Record):
    """The newest that Metriport said in one message type."""

    status: str | None = None
    request_id: str | None = None
    when: str | None = None


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


class BulkJobState(Record):
    """`bulk-jobs`: what is known of one bulk patient create. Key: `requestId`."""

    request_id: str
    status: str | None = None
    counts: dict[str, int] = Field(default_factory=dict, description="Rows by status.")
    when: str | None = None
