"""The records one snapshot becomes, in order: what changed, between two marks; the newest state; what was refused.

The order depends on the snapshot and the manifest alone, so a run after a crash gives the same records again.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import orjson

from models import records, topics
from models.headers import JSON, Header
from streams.bundles import holds
from streams.bundles.diff import Counts, Event
from streams.bundles.envelope import Envelope
from streams.bundles.examination import REFUSED
from streams.bundles.library import FHIR_VERSION
from streams.bundles.manifest import Entry
from streams.bundles.survey import Row
from streams.engine.job import Output

Bytes = Callable[[Row], bytes]

_FHIR_VERSION = ("x-fhir-version", FHIR_VERSION.encode())
_FHIR = b"application/fhir+json"
_POINTER = b"application/vnd.metriport-streams.pointer+json"


class Facts(NamedTuple):
    """What the records of one snapshot have in common."""

    envelope: Envelope
    patient: str
    snapshot_id: str
    blob: str
    state_types: tuple[str, ...]
    value_bytes_max: int
    shared: dict[tuple[str, str, str], list[Header]]


def started(facts: Facts) -> Output:
    """Return the mark before a snapshot's changes."""
    return _mark(facts, "started", {"snapshotId": facts.snapshot_id})


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


def of_event(facts: Facts, event: Event, bytes_of: Bytes) -> Iterator[Output]:
    """Yield the records of one event: the change and the state, or why it was refused."""
    record, about = facts.envelope.record, f"{event.change}/{event.type}/{event.identity}"
    if event.change in REFUSED:
        row = event.row
        assert row is not None
        headers = [*_headers(facts, event), *_place(facts, row)]
        yield record(topics.FHIR_REJECTED, about, row.outcome, _FHIR, headers)
        return
    value, content_type, headers = _value(facts, event, bytes_of)
    headers = [*_headers(facts, event), *headers]
    state = topics.fhir_state(event.type, types=facts.state_types)
    yield record(topics.FHIR_CHANGES, about, value, content_type, headers)
    yield record(state, about, value, content_type, headers, key=f"{facts.patient}/{event.type}/{event.identity}")


def _value(facts: Facts, event: Event, bytes_of: Bytes) -> tuple[bytes | None, bytes, list[Header]]:
    """Return the resource as received, or where it is if no record could hold it; None for one that is gone."""
    row = event.row
    if row is None:
        return None, _FHIR, []
    if row.end - row.start <= facts.value_bytes_max:
        return bytes_of(row), _FHIR, []
    return pointer(facts, row), _POINTER, _place(facts, row)


def pointer(facts: Facts, row: Row) -> bytes:
    """Return where a resource's bytes are, for a record that could not hold them."""
    return orjson.dumps({"blob": facts.blob, "range": _range(row).decode(), "bytes": row.end - row.start})


def _headers(facts: Facts, event: Event) -> list[Header]:
    found = [
        *_shared(facts, event.change, event.type, event.row.validation if event.row is not None else ""),
        ("x-identity", event.identity.encode()),
        ("x-resource-id", event.id.encode()),
        ("x-version", b"%d" % event.version),
    ]
    if event.content:
        found.append(("x-content-hash", event.content.hex().encode()))
    if event.successor:
        found.append(("x-superseded-by", event.successor.encode()))
    return found


def _shared(facts: Facts, change: str, resource_type: str, validation: str) -> list[Header]:
    """Return the headers that many events have alike, made once."""
    key = (change, resource_type, validation)
    if key not in facts.shared:
        found = [*_of_snapshot(facts, change), ("x-resource-type", resource_type.encode())]
        facts.shared[key] = [*found, ("x-validation", validation.encode())] if validation else found
    return facts.shared[key]


def _of_snapshot(facts: Facts, change: str) -> list[Header]:
    return [("x-change", change.encode()), ("x-snapshot-id", facts.snapshot_id.encode()), _FHIR_VERSION]


def _place(facts: Facts, row: Row) -> list[Header]:
    """Where the received bytes are: the blob, the position of the first byte, and that behind the last one."""
    return [("x-blob", facts.blob.encode()), ("x-range", _range(row))]


def _range(row: Row) -> bytes:
    return b"%d-%d" % (row.start, row.end)


def _mark(facts: Facts, which: str, value: dict[str, object], *, change: str = "") -> Output:
    found = _of_snapshot(facts, change or f"snapshot.{which}")
    return facts.envelope.record(topics.FHIR_CHANGES, which, orjson.dumps(value), JSON, found)
