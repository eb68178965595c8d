"""What the door needs to know of a body, found without building the tree: its ids, its type, its keys.

The tolerance is deliberate: whatever cannot be found is None, and the body is kept all the same.
"""

import hashlib
from typing import Any

import msgspec

from models import keys
from models.legible import legible

KEY_BYTES_MAX = 512


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """The ids of one delivery; each is None where the body does not say, or says something that is not a string.

    `ping` is what a ping is to be answered with; None where the body is no ping, or holds anything else as well.
    """

    message_id: str | None = None
    type: str | None = None
    when: str | None = None
    request_id: str | None = None
    ping: str | None = None
    patient_ids: tuple[str | None, ...] = ()
    job_id: str | None = None
    user_id: str | None = None

    def keys(self) -> tuple[bytes | None, ...]:
        """Return the Kafka key of each record this delivery becomes: one per patient, at least one."""
        other = self.job_id or self.user_id or self.message_id
        return tuple([_key(patient_id or other) for patient_id in self.patient_ids]) or (_key(other),)


class _Meta(msgspec.Struct, frozen=True):
    messageId: Any = None  # noqa: N815 - Metriport's own names throughout
    type: Any = None
    when: Any = None
    requestId: Any = None  # noqa: N815


class _Patient(msgspec.Struct, frozen=True):
    patientId: Any = None  # noqa: N815


class _Job(msgspec.Struct, frozen=True):
    requestId: Any = None  # noqa: N815


class _User(msgspec.Struct, frozen=True):
    userId: Any = None  # noqa: N815


class _Body(msgspec.Struct):
    """The parts we look at; msgspec skips the rest, still checking that it is JSON."""

    meta: _Meta = _Meta()
    ping: Any = None
    patients: tuple[_Patient, ...] = ()
    payload: _Patient = _Patient()
    bulkPatientCreate: _Job = _Job()  # noqa: N815
    users: tuple[_User, ...] = ()


class _OneOf(msgspec.Struct):
    meta: msgspec.Raw = msgspec.Raw(b"null")
    ping: Any = None
    patients: msgspec.Raw = msgspec.Raw(b"null")
    payload: msgspec.Raw = msgspec.Raw(b"null")
    bulkPatientCreate: msgspec.Raw = msgspec.Raw(b"null")  # noqa: N815
    users: msgspec.Raw = msgspec.Raw(b"null")


# Older senders sent a ping without a type, and without `meta`.
_PING_TYPES = ("ping", None)
_OF_A_PING = {"meta", "ping"}

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)

_decode_body = msgspec.json.Decoder(_Body).decode
_decode_parts = msgspec.json.Decoder(_OneOf).decode


def read(body: bytes) -> Envelope:
    """Return what `body` says about itself; never raises."""
    try:
        return _envelope(_decode_body(body), body)
    except _UNREADABLE:
        return _read_odd(body)


def digest(body: bytes) -> str:
    """Return the id of a body that has none of its own."""
    return hashlib.sha256(body).hexdigest()


def _read_odd(body: bytes) -> Envelope:
    """Read part by part: one odd part (a number for `meta`, an object for `patients`) does not hide the others.

    What is not quite JSON is made legible as the next stage does it: both must find the same patient.
    """
    try:
        parts = _decode_parts(body)
    except _UNREADABLE:
        try:
            parts = _decode_parts(legible(body))
        except _UNREADABLE:
            return Envelope()
    return _envelope(
        _Body(
            meta=_part(parts.meta, _Meta) or _Meta(),
            ping=parts.ping,
            patients=_part(parts.patients, tuple[_Patient, ...]) or (),
            payload=_part(parts.payload, _Patient) or _Patient(),
            bulkPatientCreate=_part(parts.bulkPatientCreate, _Job) or _Job(),
            users=_part(parts.users, tuple[_User, ...]) or (),
        ),
        body,
    )


def _part(raw: msgspec.Raw, kind: Any) -> Any:  # noqa: ANN401 - one of the shapes above
    try:
        return msgspec.json.decode(raw, type=kind)
    except _UNREADABLE:
        return None


def _envelope(found: _Body, body: bytes) -> Envelope:
    patient_ids = tuple([_text(patient.patientId) for patient in found.patients])
    if not patient_ids and (patient_id := _text(found.payload.patientId)):
        patient_ids = (patient_id,)
    kind, ping = _text(found.meta.type), _text(found.ping)
    return Envelope(
        message_id=_text(found.meta.messageId),
        type=kind,
        when=_text(found.meta.when),
        request_id=_text(found.meta.requestId),
        ping=ping if ping and kind in _PING_TYPES and _holds_nothing_else(body) else None,
        patient_ids=patient_ids,
        job_id=_text(found.bulkPatientCreate.requestId),
        user_id=next(filter(None, [_text(user.userId) for user in found.users]), None),
    )


def _holds_nothing_else(ping: bytes) -> bool:
    try:
        return set(msgspec.json.decode(ping, type=dict[str, msgspec.Raw])) <= _OF_A_PING
    except _UNREADABLE:
        return False


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _key(value: str | None) -> bytes | None:
    """Return `value` as a key; a value longer than any id is replaced by its digest, so that order per key holds."""
    if value is None:
        return None
    key = value.encode()
    return keys.short(key, bytes_max=KEY_BYTES_MAX)
