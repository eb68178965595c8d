"""The catalogue: the only place that names topics, and says what each holds, its key and how long it is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from models import messages
from models.headers import Family
from models.stages import STAGES

DAY_MS = 24 * 60 * 60 * 1000
SEGMENT_BYTES = 2**30
COMPACTED_SEGMENT_BYTES = 128 * 2**20
FOR_EVER: Literal[-1] = -1

# A record goes to quarantine as it came, and what is said about it comes on top.
QUARANTINE_ROOM_BYTES = 64 * 1024

PER_PATIENT_TYPES = tuple(name for name, kind in messages.TYPES.items() if kind.scope == "patient")
BULK_PATIENT_CREATE = messages.BULK_PATIENT_CREATE
DELIVERY_TYPES = tuple(messages.TYPES)

# The types that Metriport's consolidation lets through; all others share `fhir.state.other`.
FHIR_STATE_TYPES = (
    "AllergyIntolerance",
    "CarePlan",
    "Communication",
    "Composition",
    "Condition",
    "Consent",
    "Coverage",
    "DetectedIssue",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "FamilyMemberHistory",
    "Goal",
    "Immunization",
    "Location",
    "Medication",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "Procedure",
    "RelatedPerson",
    "RiskAssessment",
    "ServiceRequest",
    "Specimen",
)

WEBHOOKS = "webhooks"
UNRECOGNISED = "unrecognised"
DOCUMENTS = "documents"
BUNDLES = "bundles"
BULK_PATIENTS = "bulk-patients"
FHIR_CHANGES = "fhir.changes"
FHIR_SNAPSHOTS = "fhir.snapshots"
FHIR_REJECTED = "fhir.rejected"
FHIR_HELD = "fhir.held"
FHIR_ALIASES = "fhir.aliases"
PATIENTS = "patients"
REQUESTS = "requests"
BULK_JOBS = "bulk-jobs"
DRIFT = "drift"
AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its name without the prefix, and the promises its readers may rely on."""

    name: str
    key: str
    value: str
    family: Family  # of those whose records carry the same headers
    retention_ms: int = FOR_EVER
    compacted: bool = False
    internal: bool = False
    room_bytes: int = 0  # beyond the largest record of every other topic

    @property
    def cleanup_policy(self) -> str:
        """Kafka's `cleanup.policy`."""
        return "compact" if self.compacted else "delete"

    def config(self, *, record_bytes_max: int) -> dict[str, str]:
        """Return the topic's configuration as Kafka names it; a record may have `record_bytes_max` bytes.

        All that a promise rests on is named: what is not has the broker's default, and that is anybody's.
        https://kafka.apache.org/documentation/#topicconfigs
        """
        settings = {
            "cleanup.policy": self.cleanup_policy,
            "retention.ms": str(self.retention_ms),
            "retention.bytes": str(FOR_EVER),
            "max.message.bytes": str(record_bytes_max + self.room_bytes),
            # A segment must hold the largest record. One that is written to is not compacted, and is restored whole.
            "segment.bytes": str(COMPACTED_SEGMENT_BYTES if self.compacted else SEGMENT_BYTES),
            # A replica that missed records must not lead: they were acknowledged.
            "unclean.leader.election.enable": "false",
            # The broker's clock: with a host's, which may be wrong by weeks, records would expire at once, or those of
            # a clock that is ahead be refused. When something was received is in the records' headers.
            "message.timestamp.type": "LogAppendTime",
        }
        if self.compacted:
            # Longer than the longest pause of a reader: it must not miss that something is gone.
            settings["delete.retention.ms"] = str(7 * DAY_MS)
        if self.compacted or self.retention_ms >= 0:
            # Whole segments are compacted or expire, and only those that are not written to any more.
            settings["segment.ms"] = str(7 * DAY_MS)
        return settings


def quarantine(stage: str) -> str:
    """Return the name of a stage's quarantine topic. One per stage: each topic has one writer."""
    return f"quarantine.{stage}"


def fhir_state(resource_type: str, *, types: tuple[str, ...] | None = None) -> str:
    """Return the state topic for resources of this type."""
    return f"fhir.state.{resource_type if resource_type in (types or FHIR_STATE_TYPES) else 'other'}"


def release(stage: str) -> str:
    """Return the name of the topic with what operators decided for a stage. Only commands write there."""
    return f"release.{stage}"


def changelog(stage: str) -> str:
    """Return the name of the topic behind a stage's table. Only its stage may write there."""
    return f"{stage}-state-changelog"


def catalogue(fhir_state_types: tuple[str, ...] | None = None) -> tuple[Topic, ...]:
    """Return every topic of the service."""
    return tuple(_topics(fhir_state_types or FHIR_STATE_TYPES))


def _topics(fhir_state_types: tuple[str, ...]) -> Iterator[Topic]:
    yield Topic(
        WEBHOOKS,
        "patient id, else bulk request id, user id, message id",
        "the request body, byte for byte; one record per patient",
        "received",
    )
    for kind in messages.TYPES.values():
        key = "patient id" if kind.scope == "patient" else "request id"
        yield Topic(kind.name, key, kind.says, "delivered", kind.retention_days * DAY_MS)
    yield Topic(
        UNRECOGNISED, "as in webhooks", "the body as received, of a type without a model", "delivered", 30 * DAY_MS
    )
    yield Topic(DOCUMENTS, "patient id", "one document, fetched, or why not", "fetched")
    yield Topic(BUNDLES, "patient id", "one FHIR bundle, fetched, or why not", "fetched")
    yield Topic(BULK_PATIENTS, "request id", "one row of a bulk create's result", "fetched")
    yield Topic(
        FHIR_CHANGES, "patient id", "one resource created, updated, removed or superseded", "changed", 90 * DAY_MS
    )
    for name in (*sorted(fhir_state_types), "other"):
        yield Topic(
            f"fhir.state.{name}",
            "patient/Type/identity",
            "the newest accepted resource, its own bytes",
            "state",
            compacted=True,
        )
    yield Topic(FHIR_SNAPSHOTS, "patient id", "counts and source of one processed bundle", "snapshot")
    yield Topic(FHIR_REJECTED, "patient id", "an OperationOutcome and where the bytes are", "rejected", 90 * DAY_MS)
    yield Topic(
        FHIR_ALIASES,
        "patient/Type/id",
        "the identity of what was seen under another id, or under a name it lost",
        "snapshot",
        compacted=True,
    )
    yield Topic(
        FHIR_HELD, "patient id", "what is missing, and whose removal waits for a person", "snapshot", compacted=True
    )
    yield Topic(PATIENTS, "patient id", "the patient's state", "folded", compacted=True)
    yield Topic(
        REQUESTS,
        "patient id/request id",
        "what was asked of Metriport, and what has come of it",
        "folded",
        compacted=True,
    )
    yield Topic(BULK_JOBS, "request id", "the bulk job's state", "folded", compacted=True)
    yield Topic(
        DRIFT, "type/path/partition", "where deliveries differ from what is known; no values", "folded", compacted=True
    )
    yield Topic(AUDIT, "none", "what an operator did: when, who, with which command, what it said", "audited")
    for stage in STAGES:
        yield Topic(
            release(stage), "patient id or none", "what an operator decided for the stage", "decided", internal=True
        )
        yield Topic(
            quarantine(stage),
            "as in the source",
            "the record's original bytes; reason and position in headers",
            "quarantined",
            room_bytes=QUARANTINE_ROOM_BYTES,
        )
        yield Topic(changelog(stage), "internal", "the stage's table", "table", compacted=True, internal=True)
