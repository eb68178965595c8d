"""Record headers: every name there is, what it says, its form, and which topics carry it. CloudEvents in binary mode.

`TABLE` is closed: no header is named anywhere else, a record written with another one fails a test, and AsyncAPI is
generated from it. https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md

`ce_id` depends on the input alone, so two copies of one record have the same id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Header = tuple[str, bytes]
Headers = list[Header]

CE_SPECVERSION = "ce_specversion"
CE_ID = "ce_id"
CE_SOURCE = "ce_source"
CE_TYPE = "ce_type"
CE_TIME = "ce_time"
CE_SUBJECT = "ce_subject"
CONTENT_TYPE = "content-type"
MESSAGE_ID = "x-message-id"
RECEIVED_AT = "x-received-at"
PATIENT_INDEX = "x-patient-index"
SOURCE = "x-source"
SETTLED = "x-settled"
GENERATION = "x-generation"
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
QUARANTINE_REASON = "x-quarantine-reason"
QUARANTINE_TOPIC = "x-quarantine-topic"
QUARANTINE_PARTITION = "x-quarantine-partition"
QUARANTINE_OFFSET = "x-quarantine-offset"
QUARANTINE_TIMESTAMP = "x-quarantine-timestamp"
QUARANTINE_ATTEMPT = "x-quarantine-attempt"
QUARANTINE_LEFT_OUT = "x-quarantine-left-out"
RELEASED = "x-released"
REEMITTED_BY = "x-reemitted-by"

# Topics whose records carry the same headers:
# `received` webhooks · `delivered` a topic per message type, unrecognised · `fetched` documents, bundles, bulk-patients
# `changed` fhir.changes · `state` fhir.state.* · `rejected` fhir.rejected · `snapshot` fhir.snapshots, .aliases, .held
# `folded` patients, requests, bulk-jobs · `quarantined` quarantine.* · `decided` release.* · `audited` audit
# `reemitted` a topic of a reader's own that `replay apply` writes: beside its mark, what the record came with
# `table` a stage's changelog: no headers
Family = Literal[
    "received",
    "delivered",
    "fetched",
    "changed",
    "state",
    "rejected",
    "snapshot",
    "folded",
    "quarantined",
    "decided",
    "audited",
    "reemitted",
    "table",
]

_DERIVED: tuple[Family, ...] = ("delivered", "fetched", "changed", "state", "rejected", "snapshot", "folded")
_RESOURCES: tuple[Family, ...] = ("state", "rejected")
_OF_BUNDLES: tuple[Family, ...] = ("changed", "state", "rejected")

TEXT = ""
NUMBER = r"(0|[1-9][0-9]*)"
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z"
POSITION = r".+/[0-9]+/[0-9]+/[0-9]+"
HASH = r"[0-9a-f]+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One header: what it says, and where it is.

    `form`: a regular expression that the whole value, as UTF-8, matches; any text if empty.
    `always`, `sometimes`: the families of topics whose records have it, all of them or some.
    `personal`: names a patient or what belongs to one, so it is shown to nobody who may not see patients' data.

    A record of a quarantine topic, or released from there, keeps beside those named here the headers it came with.
    """

    says: str
    form: str = TEXT
    always: tuple[Family, ...] = ()
    sometimes: tuple[Family, ...] = ()
    personal: bool = False


TABLE: Mapping[str, Declared] = {
    CE_SPECVERSION: Declared(
        says="Version of CloudEvents, https://cloudevents.io; the ce_ headers are its binary mode.",
        form=r"1\.0",
        always=("received", *_DERIVED),
        sometimes=("quarantined", "decided"),
    ),
    CE_ID: Declared(
        says="Derived from the input alone: the same record written twice has the same id.",
        form=".+",
        always=("received", *_DERIVED),
        sometimes=("quarantined", "decided"),
        personal=True,
    ),
    CE_SOURCE: Declared(
        says="Which process wrote the record: metriport-streams/ingress, a stage, or operator for a command.",
        form="metriport-streams/[a-z]+",
        always=("received", *_DERIVED),
        sometimes=("quarantined", "decided"),
    ),
    CE_TYPE: Declared(
        says="Metriport's message type, or the topic; of a resource with the change behind it: fhir.changes.updated.",
        form=".+",
        always=("received", *_DERIVED),
        sometimes=("quarantined", "decided"),
    ),
    CE_TIME: Declared(
        says="When it happened, as Metriport told; else when it was received or fetched. RFC 3339.",
        form=".+",
        always=("received", *_DERIVED),
        sometimes=("quarantined", "decided"),
    ),
    CE_SUBJECT: Declared(
        says="Type/identity of the resource.",
        form="[A-Za-z]+/.+",
        always=_RESOURCES,
        sometimes=("changed",),
        personal=True,
    ),
    CONTENT_TYPE: Declared(
        says="Of the value: application/json, application/fhir+json, or application/vnd.metriport-streams.pointer+json "
        "for a resource that is too large for a record.",
        form=r"[a-z]+/[a-z.+-]+",
        always=("received", *_DERIVED, "decided", "audited"),
        sometimes=("quarantined",),
    ),
    MESSAGE_ID: Declared(
        says="Metriport's message id; of what an operator decided, the decision's.",
        form=".+",
        always=("delivered", "fetched", *_OF_BUNDLES, "snapshot"),
        sometimes=("received", "quarantined"),
        personal=True,
    ),
    RECEIVED_AT: Declared(
        says="When the ingress received the delivery; UTC.",
        form=TIME,
        always=("received",),
        sometimes=("delivered", "fetched", *_OF_BUNDLES, "snapshot", "quarantined"),
    ),
    PATIENT_INDEX: Declared(
        says="Which entry of the body's `patients` the record is for, from 0; missing if it is for all of them.",
        form=NUMBER,
        sometimes=("received", "quarantined"),
    ),
    SOURCE: Declared(
        says="topic/partition/offset of the record it was made from, and which of its outputs in this topic this is.",
        form=POSITION,
        always=_DERIVED,
        sometimes=("quarantined",),
    ),
    SETTLED: Declared(
        says="Written when it was finished, not in the order of its source: it does not say how far that was read.",
        form="1",
        always=("fetched",),
        sometimes=("quarantined",),
    ),
    GENERATION: Declared(
        says="Which generation of derived topics it was written for, if not for the first one.",
        form=".+",
        sometimes=(*_DERIVED, "quarantined"),
    ),
    CHANGE: Declared(
        says="What became of the resource; snapshot.started, removal.held, snapshot.completed are marks, about none.",
        form=r"created|updated|removed|superseded|rejected|crashed|snapshot\.started|removal\.held|snapshot\.completed",
        always=_OF_BUNDLES,
    ),
    SEQUENCE: Declared(
        says="Number of the change, from 1 for each patient; the same on the state record. Marks have none.",
        form="[1-9][0-9]*",
        always=("state",),
        sometimes=("changed",),
    ),
    RESOURCE_TYPE: Declared(says="FHIR's resourceType.", form="[A-Za-z]+", always=_RESOURCES, sometimes=("changed",)),
    IDENTITY: Declared(
        says="The name that stays while Metriport's ids change.",
        form=".+",
        always=_RESOURCES,
        sometimes=("changed",),
        personal=True,
    ),
    RESOURCE_ID: Declared(
        says="The id that the resource has at Metriport now.",
        always=_RESOURCES,
        sometimes=("changed",),
        personal=True,
    ),
    VERSION: Declared(
        says="Grows by one with each content that is published under this identity.",
        form=NUMBER,
        always=_RESOURCES,
        sometimes=("changed",),
    ),
    PREVIOUS_VERSION: Declared(
        says="The version that was in the state before.", form=NUMBER, sometimes=("changed", "state")
    ),
    CONTENT_HASH: Declared(
        says="Hash of what the resource says, without the times and places of its conversion.",
        form=HASH,
        sometimes=("changed", "state"),
        personal=True,
    ),
    PREVIOUS_CONTENT_HASH: Declared(
        says="That hash of what was in the state before.",
        form=HASH,
        sometimes=("changed", "state"),
        personal=True,
    ),
    SUPERSEDED_BY: Declared(
        says="The identity that a superseded one was folded into.",
        form=".+",
        sometimes=("changed", "state"),
        personal=True,
    ),
    SOURCE_DOCUMENT: Declared(
        says="Metriport's ids of the documents that the resource is from, with commas between.",
        form=".+",
        sometimes=("changed", "state"),
        personal=True,
    ),
    SNAPSHOT_ID: Declared(
        says="The message whose bundle it was, or the decision.", form=".+", always=_OF_BUNDLES, personal=True
    ),
    KIND: Declared(says="Of the snapshot.", form="consolidated|encounter|notification|decision", always=_OF_BUNDLES),
    COMPLETE: Declared(
        says="true if the bundle holds all there is of its kind, else false.", form="true|false", always=_OF_BUNDLES
    ),
    EXTERNAL_ID: Declared(says="The customer's own patient id.", form=".+", sometimes=_OF_BUNDLES, personal=True),
    FHIR_VERSION: Declared(says="Of the resource.", form=r"4\.0\.1", always=_OF_BUNDLES),
    VALIDATION: Declared(
        says="Level and verdict.",
        form="(off|structure|lint) (accepted|flagged|rejected|unchecked|crashed)|subject other_patient",
        always=("rejected",),
        sometimes=("changed", "state"),
    ),
    BLOB: Declared(
        says="Where the received bytes are, relative to BLOB_STORE_URL; of a removed resource, its last ones.",
        form=".+",
        always=("rejected",),
        sometimes=("changed", "state", "quarantined"),
        personal=True,
    ),
    RANGE: Declared(
        says="Position of its first byte in the blob, and of the one behind its last: half-open, unlike HTTP's.",
        form="[0-9]+-[0-9]+",
        always=("rejected",),
        sometimes=("changed", "state"),
    ),
    QUARANTINE_REASON: Declared(
        says="Why the record is here.", form="[a-z_]+", always=("quarantined",), sometimes=("decided",)
    ),
    QUARANTINE_TOPIC: Declared(says="Where the record stood.", form=".+", sometimes=("quarantined", "decided")),
    QUARANTINE_PARTITION: Declared(says="Where in that topic.", form=NUMBER, sometimes=("quarantined", "decided")),
    QUARANTINE_OFFSET: Declared(says="Where in that partition.", form=NUMBER, sometimes=("quarantined", "decided")),
    QUARANTINE_TIMESTAMP: Declared(
        says="Kafka's of the record, in milliseconds since 1970.", form="-?[0-9]+", sometimes=("quarantined", "decided")
    ),
    QUARANTINE_ATTEMPT: Declared(
        says="How often the record was tried, 1 the first time.",
        form="[1-9][0-9]*",
        sometimes=("quarantined", "decided"),
    ),
    QUARANTINE_LEFT_OUT: Declared(
        says="What did not fit, as the source still has it: each as name=bytes.",
        form="[a-z]+=[0-9]+( [a-z]+=[0-9]+)*",
        sometimes=("quarantined", "decided"),
    ),
    RELEASED: Declared(
        says="Where the record, or the one it was made of, stood in quarantine until an operator released it.",
        form=r".+/[0-9]+/[0-9]+",
        sometimes=(*_DERIVED, "quarantined", "decided"),
    ),
    REEMITTED_BY: Declared(says="The plan by which it was sent again.", form="[a-z0-9-]+", always=("reemitted",)),
}

JSON = b"application/json"
_SPEC_VERSION = (CE_SPECVERSION, b"1.0")


def of(family: Family) -> dict[str, Declared]:
    """Return the headers that records of these topics may have, by name."""
    return {name: found for name, found in TABLE.items() if family in found.always or family in found.sometimes}


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
        (CE_SOURCE, source.encode()),
        (CE_TYPE, kind.encode()),
        (CE_TIME, time.encode()),
        (CONTENT_TYPE, content_type),
    ]


def get(headers: Sequence[tuple[str, bytes | None]], name: str) -> bytes | None:
    """Return the last header called `name`; Kafka lets a header have no value, and a name stand more than once."""
    for key, value in reversed(headers):
        if key == name:
            return value
    return None


def text(headers: Sequence[tuple[str, bytes | None]], name: str) -> str | None:
    """Return the last header called `name` as text, whatever its bytes are."""
    raw = get(headers, name)
    return None if raw is None else raw.decode("utf-8", "replace")


def timestamp(moment: datetime) -> str:
    """Return `moment` the way Metriport writes times: UTC, milliseconds, `Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
