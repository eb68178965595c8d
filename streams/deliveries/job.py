"""`webhooks` -> one topic per type | `unrecognised` | `quarantine.deliveries`, and `drift`. Pure, record by record.

Duplicates are told by Metriport's `messageId` alone (with the patient's place in the delivery): a retry keeps it while
its bytes change. Marks never expire: a delivery may be sent again after any time.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from models import body, headers, keys, moments, telemetry, topics
from models.errors import Poison
from models.reasons import Reason
from streams.deliveries.alarm import Alarm
from streams.deliveries.drift import Bounds, Drift, Origin
from streams.deliveries.normalize import Normalized, event_time, normalize
from streams.deliveries.sentinel import Look, Sentinel
from streams.engine.job import BatchedJob, Changes, Context, Output, Record, State
from streams.engine.log import quarantine

_ID_BYTES_MAX = 128
_HEADER_MAX = 256
_INDEX_DIGITS_MAX = 9


class Delivery(NamedTuple):
    """One delivery for one patient, ready to be written unless it was seen before; `look`: how it differs."""

    mark: bytes
    type: str
    output: Output
    look: Look | None = None
    place: str = ""
    record: Record | None = None


class Refused(NamedTuple):
    """A delivery that cannot be mapped, and differs from what is known."""

    reason: Reason
    output: Output
    look: Look
    message_id: str | None
    record: Record


class DeliveriesJob(BatchedJob[Delivery | Refused]):
    """The decisions of the `deliveries` stage."""

    def __init__(
        self,
        prefix: str,
        *,
        deduplicate: bool = True,
        bounds: Bounds | None = None,
        alarm: Alarm | None = None,
        record_bytes_max: int = 40 * 2**20,
    ) -> None:
        """Without `bounds`, deliveries are not compared with what is known."""
        self._alarm = alarm
        self._context: Context | None = None
        self._prefix = prefix
        self._deduplicate = deduplicate
        self._record_bytes_max = record_bytes_max
        self._sentinel = self._drift = None
        self.outputs = tuple(prefix + name for name in (*topics.DELIVERY_TYPES, topics.UNRECOGNISED, topics.DRIFT))
        self.quarantine = prefix + topics.quarantine("deliveries")
        if bounds is not None:
            self._sentinel = Sentinel(values_max=bounds.values_max, differences_max=bounds.paths_max)
            self._drift = Drift(prefix, self._sentinel, bounds)

    def bound(self, context: Context) -> None:
        """Take the engine."""
        self._context = context

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Show how much differs in these partitions."""
        if self._alarm is not None and self._context is not None:
            self._alarm.begin(partitions, self._context)

    async def revoked(self) -> None:
        """Show it no more."""
        if self._alarm is not None:
            await self._alarm.end()

    def written(self, partition: int, changes: Changes) -> None:
        """Show what has changed."""
        if self._alarm is not None:
            self._alarm.written(partition, changes)

    def decode(self, record: Record) -> Delivery | Refused:
        """Return what the record becomes; raise `Poison` with the reason if it cannot be mapped."""
        index = _index(headers.get(record.headers, headers.PATIENT_INDEX) or b"")
        received_at = _time(headers.text(record.headers, headers.RECEIVED_AT))
        parsed = body.parse(record.value or b"")
        look = self._sentinel.look(parsed, index) if self._sentinel else None
        try:
            found = normalize(
                parsed, index=index, received_at=received_at, is_as_known=look is not None and look.is_as_known
            )
        except Poison as error:
            if look is None or not look.differences:
                raise
            return self._refused(record, error.reason, look, _message_id(parsed))
        place = f"{found.meta.message_id}/{index or 0}"
        output = Output(
            self._prefix + found.topic,
            found.key or record.key,
            found.value if found.value is not None else record.value,
            _headers(found, place, received_at),
        )
        return Delivery(_mark(place), found.topic, output, look, place, record)

    def keys(self, delivery: Delivery | Refused) -> tuple[bytes, ...]:
        """Return the mark that says whether this delivery was seen, and where its differences are remembered."""
        marks = (delivery.mark,) if self._deduplicate and isinstance(delivery, Delivery) else ()
        return marks if delivery.look is None else (*marks, delivery.look.key)

    def apply(self, delivery: Delivery | Refused, state: State) -> Iterator[Output]:
        """Yield the delivery's record the first time it is seen, and what is to be told of its differences."""
        if isinstance(delivery, Refused):
            yield from self._set_aside(delivery, state)
            return
        if self._deduplicate:
            if state.get(delivery.mark) is not None:
                state.note(telemetry.DUPLICATE, type=delivery.type)
                return
            state.put(delivery.mark, b"1")
        yield delivery.output
        look, record = delivery.look, delivery.record
        if self._drift and look and record and self._drift.changes(look, state.get(look.key)):
            message_id = delivery.place.rpartition("/")[0]
            yield from self._drift.apply(look, state, _origin(record, delivery.place, message_id))

    def _refused(self, record: Record, reason: Reason, look: Look, message_id: str | None) -> Refused:
        output = quarantine.quarantined(record, reason, topic=self.quarantine)
        return Refused(reason, quarantine.fitting(output, self._record_bytes_max), look, message_id, record)

    def _set_aside(self, refused: Refused, state: State) -> Iterator[Output]:
        """Do what the engine does with a record that cannot be mapped, and tell of its differences beside."""
        record, place = refused.record, f"{refused.record.topic}/{refused.record.partition}/{refused.record.offset}"
        yield refused.output
        state.note(
            telemetry.QUARANTINED,
            stage="deliveries",
            reason=refused.reason,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error="",
        )
        if self._drift is not None:
            yield from self._drift.apply(refused.look, state, _origin(record, place, refused.message_id))


def _origin(record: Record, place: str, message_id: str | None) -> Origin:
    received_at = _time(headers.text(record.headers, headers.RECEIVED_AT))
    at = received_at or headers.timestamp(moments.of_ms(record.timestamp))
    return Origin(place[:_HEADER_MAX], message_id, at, record.partition)


def _message_id(delivery: dict[str, Any]) -> str | None:
    meta = delivery.get("meta")
    found = meta.get("messageId") if isinstance(meta, dict) else None
    return found if isinstance(found, str) and found else None


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
    return b"m/" + keys.short_raw(place.encode("utf-8", "surrogatepass"), bytes_max=_ID_BYTES_MAX)


def _index(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) <= _INDEX_DIGITS_MAX else None


def _time(text: str | None) -> str | None:
    """Return what the ingress wrote; a hint that is no time costs the hint and not the record."""
    return text if moments.parse(text) is not None else None
