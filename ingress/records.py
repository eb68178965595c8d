"""What one delivery becomes in `webhooks`: its bytes, unchanged, once per patient. Pure."""

from datetime import datetime

import msgspec

from models import headers
from models.envelope import Envelope, digest

SOURCE = "metriport-streams/ingress"
UNRECOGNISED = "unrecognised"

# What a sender writes into an id or a type ends up in headers, which every reader of the topic loads.
HEADER_BYTES_MAX = 512
# A delivery that names many patients is written once per patient; this bounds what one delivery may become.
FAN_OUT_BODIES_MAX = 2


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One request body that was signed, and when it was here."""

    body: bytes
    received_at: str


class Record(msgspec.Struct, frozen=True, gc=False):
    """One Kafka record to write; the key decides the partition the way Java's default does."""

    key: bytes | None
    value: bytes
    headers: headers.Headers


def records(delivery: Delivery, envelope: Envelope, *, body_bytes_max: int) -> tuple[Record, ...]:
    """Return one record per patient the delivery names, at least one.

    A delivery whose copies would exceed twice `body_bytes_max` becomes one record without `x-patient-index`: it is
    kept, and reading it is the next stage's business.
    """
    keys = envelope.keys()
    about = _About(delivery, envelope)
    if len(keys) > 1 and len(keys) * len(delivery.body) > FAN_OUT_BODIES_MAX * body_bytes_max:
        return (Record(keys[0], delivery.body, about.once(0)),)
    return tuple([Record(key, delivery.body, about.of_patient(index)) for index, key in enumerate(keys)])


class _About:
    """The headers of one delivery; all that its records have in common is worked out once."""

    __slots__ = ("_id", "_kind", "_message_id", "_received_at", "_time")

    def __init__(self, delivery: Delivery, envelope: Envelope) -> None:
        message_id = envelope.message_id if _fits(envelope.message_id) else None
        self._message_id = message_id
        self._id = message_id or digest(delivery.body)
        self._kind = (envelope.type if _fits(envelope.type) else None) or UNRECOGNISED
        self._received_at = delivery.received_at
        self._time = _moment(envelope.when) or delivery.received_at

    def once(self, index: int) -> headers.Headers:
        found = headers.cloud_event(ce_id=f"{self._id}/{index}", source=SOURCE, kind=self._kind, time=self._time)
        if self._message_id is not None:
            found.append((headers.MESSAGE_ID, self._message_id.encode()))
        found.append((headers.RECEIVED_AT, self._received_at.encode()))
        return found

    def of_patient(self, index: int) -> headers.Headers:
        found = self.once(index)
        found.append((headers.PATIENT_INDEX, b"%d" % index))
        return found


def _fits(value: str | None) -> bool:
    return value is not None and len(value) <= HEADER_BYTES_MAX and len(value.encode()) <= HEADER_BYTES_MAX


def _moment(when: str | None) -> str | None:
    """Return `when` in our notation, or None where it is not a moment."""
    if when is None or len(when) > HEADER_BYTES_MAX:
        return None
    try:
        moment = datetime.fromisoformat(when)
        if len(when) == len("2025-10-30T12:00:00.123Z") and when[4::3][:2] == "--" and when[19::4] == ".Z":
            return when  # Metriport's notation is ours
        return headers.timestamp(moment) if moment.tzinfo else None
    except (ValueError, OverflowError):  # not a date; or one so early that no zone can move it
        return None
