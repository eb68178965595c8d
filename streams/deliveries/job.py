"""`webhooks` -> one topic per message type | `unrecognised` | `quarantine.deliveries`. Pure, record by record.

Duplicates are told by Metriport's `messageId` alone (with the patient's place in the delivery): a retry keeps it while
its bytes change. Marks never expire: a delivery may be sent again after any time.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from models import body, headers, telemetry, topics
from streams.deliveries.normalize import Normalized, event_time, normalize
from streams.engine.job import BatchedJob, Output, Record, State

_ID_MAX = 128
_HEADER_MAX = 256
_INDEX_DIGITS_MAX = 9


class Delivery(NamedTuple):
    """One delivery for one patient, ready to be written unless it was seen before."""

    mark: bytes
    type: str
    output: Output


class DeliveriesJob(BatchedJob[Delivery]):
    """The decisions of the `deliveries` stage."""

    def __init__(self, prefix: str, *, deduplicate: bool = True) -> None:
        self._prefix = prefix
        self._deduplicate = deduplicate
        self.outputs = tuple(prefix + name for name in (*topics.DELIVERY_TYPES, topics.UNRECOGNISED))
        self.quarantine = prefix + topics.quarantine("deliveries")

    def decode(self, record: Record) -> Delivery:
        """Return what the record becomes; raise `Poison` with the reason if it cannot be mapped."""
        index = _index(headers.get(record.headers, headers.PATIENT_INDEX) or b"")
        received_at = _time(headers.text(record.headers, headers.RECEIVED_AT))
        found = normalize(body.parse(record.value or b""), index=index, received_at=received_at)
        place = f"{found.meta.message_id}/{index or 0}"
        output = Output(
            self._prefix + found.topic,
            found.key or record.key,
            found.value if found.value is not None else record.value,
            _headers(found, place, received_at),
        )
        return Delivery(_mark(place), found.topic, output)

    def keys(self, delivery: Delivery) -> tuple[bytes, ...]:
        """Return the mark that says whether this delivery was seen."""
        return (delivery.mark,) if self._deduplicate else ()

    def apply(self, delivery: Delivery, state: State) -> Iterator[Output]:
        """Yield the delivery's record the first time it is seen."""
        if self._deduplicate:
            if state.get(delivery.mark) is not None:
                state.note(telemetry.DUPLICATE, type=delivery.type)
                return
            state.put(delivery.mark, b"1")
        yield delivery.output


def _headers(found: Normalized, place: str, received_at: str | None) -> headers.Headers:
    meta = found.meta
    written = headers.cloud_event(
        ce_id=place[:_HEADER_MAX],
        source="metriport-streams/deliveries",
        kind=meta.type[:_HEADER_MAX],
        time=event_time(meta, received_at),
    )
    written.append((headers.MESSAGE_ID, meta.message_id[:_HEADER_MAX].encode()))
    if received_at is not None:
        written.append((headers.RECEIVED_AT, received_at.encode()))
    return written


def _mark(place: str) -> bytes:
    """Return the state key of a delivery: short whatever the sender calls it."""
    name = place.encode("utf-8", "surrogatepass")
    return b"m/" + (name if len(name) <= _ID_MAX else hashlib.sha256(name).digest())


def _index(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) <= _INDEX_DIGITS_MAX else None


def _time(text: str | None) -> str | None:
    """Return what the ingress wrote; a hint that is no time costs the hint and not the record."""
    try:
        datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return text
