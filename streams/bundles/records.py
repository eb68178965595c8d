"""The records one snapshot becomes, in order: what changed, between two marks; the newest state; what was refused.

The order depends on the snapshot and the manifest alone, so a run after a crash gives the same records again.
"""

import re
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

import orjson

from models import headers, records, topics
from models.headers import JSON, Header
from streams.bundles.envelope import Envelope
from streams.bundles.snapshot import holds
from streams.bundles.snapshot.diff import Alias, Counts, Event
from streams.bundles.snapshot.manifest import Entry
from streams.bundles.snapshot.scan import Row
from streams.bundles.validation.chunk import REFUSED
from streams.bundles.validation.fhir_resources import FHIR_VERSION
from streams.engine.job import Output

Bytes = Callable[[Row], bytes]

_FHIR_VERSION = FHIR_VERSION.encode()
_DOCUMENT = b"doc-id-extension.json"
_DOCUMENTS = re.compile(
    rb'doc-id-extension\.json"\s*,\s*"valueString"\s*:\s*"([^"\\]+)"'
    rb'|"valueString"\s*:\s*"([^"\\]+)"\s*,\s*"url"\s*:\s*"[^"]*doc-id-extension\.json"'
)
_DOCUMENTS_MAX = 100
_FHIR = b"application/fhir+json"
_POINTER = b"application/vnd.metriport-streams.pointer+json"


class Facts(NamedTuple):
    """What the records of one snapshot have in common; `about` are the headers that all of them have."""

    envelope: Envelope
    patient: str
    snapshot_id: str
    blob: str
    state_types: tuple[str, ...]
    value_bytes_max: int
    about: list[Header]
    shared: dict[tuple[str, str, str], list[Header]]


def started(facts: Facts, kind: str, counts: Counts) -> Output:
    """Return the mark before a snapshot's changes: what it is, and what is to come."""
    return _mark(facts, "started", {"snapshotId": facts.snapshot_id, "kind": kind, "counts": as_json(counts)})


def alias(facts: Facts, found: Alias) -> Output:
    """Return the record that leads from an id to an identity, or the end of it."""
    told = records.Alias(patient_id=facts.patient, type=found.type, id=found.id, identity=found.identity)
    value = told.model_dump_json(by_alias=True).encode() if found.identity else None
    name = f"{found.type}/{found.id}"
    return facts.envelope.record(topics.FHIR_ALIASES, name, value, JSON, [], key=f"{facts.patient}/{name}")


def held(facts: Facts, entries: list[Entry]) -> Output:
    """Return the mark that says what would have been removed; nothing about it changed."""
    value = {"snapshotId": facts.snapshot_id, "held": len(entries), "resources": holds.names(entries)}
    return _mark(facts, "held", value, change="removal.held")


def waiting(facts: Facts, found: records.Held | None) -> Output:
    """Return what waits for a person now; the end of that, if nothing does."""
    value = found.model_dump_json(by_alias=True).encode() if found is not None else None
    return facts.envelope.record(topics.FHIR_HELD, "held", value, JSON, [])


def completed(facts: Facts, counts: Counts) -> Output:
    """Return the mark behind them."""
    return _mark(facts, "completed", {"snapshotId": facts.snapshot_id, "counts": as_json(counts)})


def as_json(counts: Counts) -> dict[str, int]:
    """Return the counts by their pinned names."""
    return {name: int(getattr(counts, name)) for name in Counts.__slots__}


def of_event(facts: Facts, event: Event, bytes_of: Bytes) -> Sequence[Output]:
    """Return the records of one event: the change and the state, or why it was refused."""
    name = f"{event.type}/{event.identity}"
    record, about, found = facts.envelope.record, f"{event.change}/{name}", _headers(facts, event, name.encode())
    if event.change in REFUSED:
        row = event.row
        assert row is not None
        found += _place(facts.blob, row.start, row.end)
        return (record(topics.FHIR_REJECTED, about, row.outcome, _FHIR, found),)
    value, content_type, own = _value(facts, event, bytes_of)
    found += own
    state = topics.fhir_state(event.type, types=facts.state_types)
    return (
        record(topics.FHIR_CHANGES, about, value, content_type, found, change=event.change),
        record(state, about, value, content_type, found, key=f"{facts.patient}/{name}", change=event.change),
    )


def _value(facts: Facts, event: Event, bytes_of: Bytes) -> tuple[bytes | None, bytes, list[Header]]:
    """Return the resource as received, or where it is if no record could hold it; None for one that is gone."""
    row = event.row
    if row is None:
        return None, _FHIR, _place(*event.last) if event.last is not None else []
    raw = bytes_of(row)
    own = [(headers.SOURCE_DOCUMENT, b",".join(names))] if (names := documents(raw)) else []
    if len(raw) <= facts.value_bytes_max:
        return raw, _FHIR, own
    return pointer(facts, row), _POINTER, [*own, *_place(facts.blob, row.start, row.end)]


def documents(raw: bytes) -> list[bytes]:
    """Return Metriport's ids of the documents that a resource is from, as its extensions have them."""
    if _DOCUMENT not in raw:
        return []
    found = (one or other for one, other in islice(_DOCUMENTS.findall(raw), _DOCUMENTS_MAX))
    return list(dict.fromkeys(found))


def pointer(facts: Facts, row: Row) -> bytes:
    """Return where a resource's bytes are, for a record that could not hold them."""
    return orjson.dumps({"blob": facts.blob, "range": f"{row.start}-{row.end}", "bytes": row.end - row.start})


def _headers(facts: Facts, event: Event, name: bytes) -> list[Header]:
    found = [
        *_shared(facts, event.change, event.type, event.row.validation if event.row is not None else ""),
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


def _shared(facts: Facts, change: str, resource_type: str, validation: str) -> list[Header]:
    """Return the headers that many events have alike, made once."""
    key = (change, resource_type, validation)
    if key not in facts.shared:
        found = [*_of_snapshot(facts, change), (headers.RESOURCE_TYPE, resource_type.encode())]
        facts.shared[key] = [*found, (headers.VALIDATION, validation.encode())] if validation else found
    return facts.shared[key]


def _of_snapshot(facts: Facts, change: str) -> list[Header]:
    return [
        (headers.CHANGE, change.encode()),
        (headers.SNAPSHOT_ID, facts.snapshot_id.encode()),
        (headers.FHIR_VERSION, _FHIR_VERSION),
        *facts.about,
    ]


def _place(blob: str, start: int, end: int) -> list[Header]:
    """Where bytes are: the blob, the position of the first byte, and that behind the last one."""
    return [(headers.BLOB, blob.encode()), (headers.RANGE, b"%d-%d" % (start, end))]


def _mark(facts: Facts, which: str, value: dict[str, object], *, change: str = "") -> Output:
    change = change or f"snapshot.{which}"
    return facts.envelope.record(
        topics.FHIR_CHANGES, which, orjson.dumps(value), JSON, _of_snapshot(facts, change), change=change
    )
