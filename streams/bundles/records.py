"""Make the records that one snapshot becomes, in order: what changed, between two marks; the state; what was refused.

The order depends on the snapshot and the manifest alone, so a run after a crash gives the same records again.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import orjson

from models import headers, moments, records, topics
from models.headers import JSON, Header
from streams.bundles.snapshot import holds
from streams.bundles.snapshot.diff import Alias, Counts, Event
from streams.bundles.snapshot.manifest import Entry
from streams.bundles.snapshot.resources import Resource
from streams.bundles.validation.chunk import REFUSED
from streams.bundles.validation.fhir_resources import FHIR_VERSION
from streams.engine.job import Output

Bytes = Callable[[Resource], bytes]

_FHIR_VERSION = FHIR_VERSION.encode()
_DOCUMENT = b"doc-id-extension.json"
_DOCUMENTS = re.compile(
    rb'doc-id-extension\.json"\s*,\s*"valueString"\s*:\s*"([^"\\]+)"'
    rb'|"valueString"\s*:\s*"([^"\\]+)"\s*,\s*"url"\s*:\s*"[^"]*doc-id-extension\.json"'
)
_DOCUMENTS_MAX = 100
_FHIR = b"application/fhir+json"
_POINTER = b"application/vnd.metriport-streams.pointer+json"


class SnapshotRecords:
    """The records of one bundle or decision as Kafka gets them: named, keyed, and with the headers that all have."""

    def __init__(
        self, bundle: records.Bundle, *, prefix: str, state_types: tuple[str, ...], value_bytes_max: int
    ) -> None:
        """`prefix` is that of all topics; a resource of more than `value_bytes_max` becomes a pointer to its bytes."""
        self._bundle = bundle
        self._patient = bundle.patient_id or ""
        self._blob = bundle.blob or ""
        self._prefix = prefix
        self._state_types = state_types
        self._value_bytes_max = value_bytes_max
        # Made once: only the id, the type and the kind of content differ from record to record, and most changes of a
        # snapshot are of few kinds.
        self._common = self._of_all()
        self._of_resources = self._of_changes()
        self._by_topic: dict[tuple[str, str, bytes], tuple[str, list[Header]]] = {}
        self._by_event: dict[tuple[str, str, str], list[Header]] = {}

    @property
    def kind(self) -> records.SnapshotKind:
        """What the snapshot is: a bundle's kind, or an operator's decision."""
        return "decision" if self._bundle.type == topics.release("bundles") else self._bundle.kind

    def snapshot(self, value: bytes) -> Output:
        """Return the record of `fhir.snapshots`, which is the last one of all."""
        return self._record(topics.FHIR_SNAPSHOTS, "snapshot", value, JSON, [])

    def started(self, counts: Counts) -> Output:
        """Return the mark before a snapshot's changes: what it is, and what is to come."""
        value = {"snapshotId": self._bundle.message_id, "kind": self.kind, "counts": as_json(counts)}
        return self._mark("started", value)

    def alias(self, found: Alias) -> Output:
        """Return the record that leads from an id to an identity, or the end of it."""
        told = records.Alias(patient_id=self._patient, type=found.type, id=found.id, identity=found.identity)
        value = told.model_dump_json(by_alias=True).encode() if found.identity else None
        name = f"{found.type}/{found.id}"
        return self._record(topics.FHIR_ALIASES, name, value, JSON, [], key=f"{self._patient}/{name}")

    def held(self, entries: list[Entry]) -> Output:
        """Return the mark that says what would have been removed; nothing about it changed."""
        value = {"snapshotId": self._bundle.message_id, "held": len(entries), "resources": holds.names(entries)}
        return self._mark("held", value, change="removal.held")

    def waiting(self, found: records.Held | None) -> Output:
        """Return what waits for a person now; the end of that, if nothing does."""
        value = found.model_dump_json(by_alias=True).encode() if found is not None else None
        return self._record(topics.FHIR_HELD, "held", value, JSON, [])

    def completed(self, counts: Counts) -> Output:
        """Return the mark after a snapshot's changes."""
        return self._mark("completed", {"snapshotId": self._bundle.message_id, "counts": as_json(counts)})

    def of_event(self, event: Event, bytes_of: Bytes) -> Sequence[Output]:
        """Return the records of one event: the change and the state, or why it was refused."""
        name = f"{event.type}/{event.identity}"
        about, found = f"{event.change}/{name}", self._headers(event, name.encode())
        if event.change in REFUSED:
            resource = event.resource
            assert resource is not None
            found += _place(self._blob, resource.start, resource.end)
            return (self._record(topics.FHIR_REJECTED, about, resource.outcome, _FHIR, found),)
        value, content_type, own = self._value(event, bytes_of)
        found += own
        state = topics.fhir_state(event.type, types=self._state_types)
        key = f"{self._patient}/{name}"
        return (
            self._record(topics.FHIR_CHANGES, about, value, content_type, found, change=event.change),
            self._record(state, about, value, content_type, found, key=key, change=event.change),
        )

    def value_of(self, resource: Resource, bytes_of: Bytes) -> bytes:
        """Return a resource as received, or where it is if no record could hold it."""
        return bytes_of(resource) if resource.end - resource.start <= self._value_bytes_max else self._pointer(resource)

    def _value(self, event: Event, bytes_of: Bytes) -> tuple[bytes | None, bytes, list[Header]]:
        """Return a changed resource, the kind of content and its headers; None for a resource that is gone."""
        resource = event.resource
        if resource is None:
            return None, _FHIR, _place(*event.last) if event.last is not None else []
        raw = bytes_of(resource)
        own = [(headers.SOURCE_DOCUMENT, b",".join(names))] if (names := documents(raw)) else []
        if len(raw) <= self._value_bytes_max:
            return raw, _FHIR, own
        return self._pointer(resource), _POINTER, [*own, *_place(self._blob, resource.start, resource.end)]

    def _pointer(self, resource: Resource) -> bytes:
        return orjson.dumps(
            {"blob": self._blob, "range": f"{resource.start}-{resource.end}", "bytes": resource.end - resource.start}
        )

    def _headers(self, event: Event, name: bytes) -> list[Header]:
        found = [
            *self._of_event_kind(
                event.change, event.type, event.resource.validation if event.resource is not None else ""
            ),
            (headers.CE_SUBJECT, name),
            (headers.IDENTITY, event.identity.encode()),
            (headers.RESOURCE_ID, event.id.encode()),
            (headers.VERSION, b"%d" % event.version),
        ]
        if event.sequence:
            found.append((headers.SEQUENCE, b"%d" % event.sequence))
        if event.content:
            found.append((headers.CONTENT_HASH, event.content.hex().encode()))
        if event.previous_version:
            found.append((headers.PREVIOUS_VERSION, b"%d" % event.previous_version))
            found.append((headers.PREVIOUS_CONTENT_HASH, event.previous_content.hex().encode()))
        if event.successor:
            found.append((headers.SUPERSEDED_BY, event.successor.encode()))
        return found

    def _of_event_kind(self, change: str, resource_type: str, validation: str) -> list[Header]:
        """Return the headers that many events have alike."""
        key = (change, resource_type, validation)
        if key not in self._by_event:
            found = [
                (headers.CHANGE, change.encode()),
                *self._of_resources,
                (headers.RESOURCE_TYPE, resource_type.encode()),
            ]
            self._by_event[key] = [*found, (headers.VALIDATION, validation.encode())] if validation else found
        return self._by_event[key]

    def _of_changes(self) -> list[Header]:
        """Return what all records of `fhir.changes`, `fhir.state.*` and `fhir.rejected` say about the snapshot."""
        bundle = self._bundle
        found = [
            (headers.SNAPSHOT_ID, bundle.message_id.encode()),
            (headers.FHIR_VERSION, _FHIR_VERSION),
            (headers.KIND, self.kind.encode()),
            (headers.COMPLETE, b"true" if bundle.complete or bundle.kind == "encounter" else b"false"),
        ]
        return [*found, (headers.EXTERNAL_ID, bundle.external_id.encode())] if bundle.external_id else found

    def _of_all(self) -> list[Header]:
        """Return the headers of every record, but for its id, its type and the kind of its content."""
        bundle = self._bundle
        event = headers.cloud_event(
            ce_id="",
            source="metriport-streams/bundles",
            kind="",
            time=moments.first(bundle.when, bundle.received_at),
        )
        own = {headers.CE_ID, headers.CE_TYPE, headers.CONTENT_TYPE}
        found = [header for header in event if header[0] not in own]
        found.append((headers.MESSAGE_ID, bundle.message_id.encode()))
        return [*found, (headers.RECEIVED_AT, bundle.received_at.encode())] if bundle.received_at else found

    def _mark(self, which: str, value: Mapping[str, object], *, change: str = "") -> Output:
        change = change or f"snapshot.{which}"
        found = [(headers.CHANGE, change.encode()), *self._of_resources]
        return self._record(topics.FHIR_CHANGES, which, orjson.dumps(value), JSON, found, change=change)

    def _record(
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
        made = self._by_topic.get((topic, change, content_type))
        if made is None:
            kind = f"{topic}.{change}" if change else topic
            alike = [(headers.CE_TYPE, kind.encode()), (headers.CONTENT_TYPE, content_type), *self._common]
            made = self._by_topic[topic, change, content_type] = (self._prefix + topic, alike)
        name, alike = made
        ce_id = (headers.CE_ID, f"{topic}/{self._bundle.message_id}/{about}".encode())
        return Output(name, (key or self._patient).encode(), value, [ce_id, *alike, *own])


def as_json(counts: Counts) -> dict[str, int]:
    """Return the counts by their pinned names."""
    return {name: int(getattr(counts, name)) for name in Counts.__slots__}


def documents(raw: bytes) -> list[bytes]:
    """Return Metriport's ids of the documents that a resource is from, as its extensions have them."""
    if _DOCUMENT not in raw:
        return []
    found = (one or other for one, other in islice(_DOCUMENTS.findall(raw), _DOCUMENTS_MAX))
    return list(dict.fromkeys(found))


def _place(blob: str, start: int, end: int) -> list[Header]:
    """Return where bytes are: the blob, the position of the first byte, and the one behind the last."""
    return [(headers.BLOB, blob.encode()), (headers.RANGE, b"%d-%d" % (start, end))]
