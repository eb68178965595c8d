"""What one delivery becomes in `webhooks`: its bytes, unchanged, once per patient. Pure."""

import msgspec

from models import headers, moments
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
    keys, body = envelope.keys(), delivery.body
    message_id = envelope.message_id if _fits(envelope.message_id) else None
    own_id = message_id or digest(body)
    shared = _shared(delivery, envelope, message_id)
    if len(keys) > 1 and len(keys) * len(body) > FAN_OUT_BODIES_MAX * body_bytes_max:
        return (Record(keys[0], body, [*shared, headers.id_of(f"{own_id}/0")]),)
    return tuple(
        [
            Record(key, body, [*shared, headers.id_of(f"{own_id}/{index}"), (headers.PATIENT_INDEX, b"%d" % index)])
            for index, key in enumerate(keys)
        ]
    )


def _shared(delivery: Delivery, envelope: Envelope, message_id: str | None) -> headers.Headers:
    """Return the headers that all records of one delivery have in common."""
    kind = (envelope.type if _fits(envelope.type) else None) or UNRECOGNISED
    found = headers.about(source=SOURCE, kind=kind, time=_moment(envelope.when) or delivery.received_at)
    if message_id is not None:
        found.append((headers.MESSAGE_ID, message_id.encode()))
    found.append((headers.RECEIVED_AT, delivery.received_at.encode()))
    return found


def _fits(value: str | None) -> bool:
    return value is not None and len(value) <= HEADER_BYTES_MAX and len(value.encode()) <= HEADER_BYTES_MAX


def _moment(when: str | None) -> str | None:
    """Return `when` in our notation, or None where it is not a moment."""
    if when is None or len(when) > HEADER_BYTES_MAX:
        return None
    moment = moments.parse(when, zoned_only=True)
    if moment is None:
        return None
    if len(when) == len("2025-10-30T12:00:00.123Z") and when[4::3][:2] == "--" and when[19::4] == ".Z":
        return when  # Metriport's notation is ours
    return headers.timestamp(moment)
