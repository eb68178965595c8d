"""What one delivery says about one patient, in the words of the normalized topics. Pure.

Everything Metriport's documentation and code disagree on is levelled here, once, by the wire models.
"""

from typing import Any, NamedTuple

from pydantic import ValidationError

from models import exact, messages, moments, topics, wire
from models.errors import Poison
from models.messages import MessageType
from models.reasons import DeliveriesReason
from streams.deliveries import level

_OF_THE_DELIVERY = ("messageId", "type", "when", "receivedAt", "metadata")


class Meta(NamedTuple):
    """Who sent this message, when, and what it is."""

    message_id: str
    type: str
    when: str | None
    request_id: str | None
    data: dict[str, Any] | None


class Normalized(NamedTuple):
    """One delivery for one patient (or one bulk job)."""

    meta: Meta
    topic: str
    key: bytes | None
    value: bytes | None  # None: no model for this type; the body goes on as received


def normalize(
    body: dict[str, Any], *, index: int | None, received_at: str | None, is_as_known: bool = False
) -> Normalized:
    """Return what entry `index` of the delivery's patients becomes.

    One of which it `is_as_known` that it is as known becomes the same, sooner. Raise `Poison` if it is of a known type
    but cannot be mapped.
    """
    meta = (is_as_known and _known_meta(body["meta"])) or _meta(body)
    kind = messages.TYPES.get(meta.type)
    if kind is None:
        return Normalized(meta, topics.UNRECOGNISED, None, None)
    if is_as_known and (found := _levelled(kind, body, index, meta, received_at)) is not None:
        return found
    if kind.scope == "bulk":
        part = _validated(kind.wire, body.get("bulkPatientCreate"), otherwise="unknown_shape")
        key = part.request_id
    else:
        part = _validated(kind.wire, _entry(body, index), otherwise="no_patient")
        key = part.patient_id
    return Normalized(meta, meta.type, key.encode(), _dumps(_common(meta, received_at) | _own(part)))


def _levelled(
    kind: MessageType, body: dict[str, Any], index: int | None, meta: Meta, received_at: str | None
) -> Normalized | None:
    """Return what a delivery that is as known becomes, None if only its wire model can say."""
    is_bulk = kind.scope == "bulk"
    if kind.wire not in _LEVELLERS:
        made = level.leveller(kind.wire)
        overwrites = made is not None and not made.names.isdisjoint(
            {*_OF_THE_DELIVERY, *([] if is_bulk else ["requestId"])}
        )
        _LEVELLERS[kind.wire] = None if overwrites else made
    leveller = _LEVELLERS[kind.wire]
    if leveller is None:
        return None
    try:
        own = leveller.level(body["bulkPatientCreate"] if is_bulk else _entry(body, index))
    except level.Unlike:
        return None
    key = own["requestId"] if is_bulk else own["patientId"]
    return Normalized(meta, meta.type, key.encode(), _dumps(_common(meta, received_at) | own))


_LEVELLERS: dict[type[wire.Wire], level.Leveller | None] = {}


def event_time(meta: Meta, received_at: str | None) -> str:
    """Return `meta.when` if it is a time, else when we received it."""
    return moments.first(meta.when, received_at)


def _known_meta(raw: dict[str, Any]) -> Meta | None:
    """Return what a `meta` that is as known says; None if it lacks what it must say."""
    message_id, kind = raw["messageId"], raw["type"]
    if not message_id or not kind:
        return None
    return Meta(message_id, kind, raw["when"] or None, raw.get("requestId") or None, raw.get("data"))


def _meta(body: dict[str, Any]) -> Meta:
    raw = body.get("meta")
    if not isinstance(raw, dict):
        raise Poison("no_meta")
    if not isinstance(raw.get("messageId"), str) or not raw["messageId"]:
        raise Poison("no_message_id")
    if not isinstance(raw.get("type"), str) or not raw["type"]:
        raise Poison("no_type")
    meta: wire.Meta = _validated(wire.Meta, raw, otherwise="unknown_shape")
    return Meta(meta.message_id, meta.type, meta.when, meta.request_id, meta.data)


def _entry(body: dict[str, Any], index: int | None) -> Any:  # noqa: ANN401 - whatever stands there
    """Return the part of the body that speaks of the patient."""
    patients = body.get("patients")
    if isinstance(patients, list) and patients:
        if index is None and len(patients) > 1:
            # The ingress keeps a body in one piece when a copy per patient would be absurdly large.
            raise Poison("too_many_patients")
        if (index or 0) >= len(patients):
            raise Poison("unknown_shape")
        return patients[index or 0]
    return body.get("payload")


def _validated(model: type[wire.Wire], part: Any, *, otherwise: DeliveriesReason) -> Any:  # noqa: ANN401 - an instance of `model`
    if not isinstance(part, dict):
        raise Poison(otherwise)
    try:
        return model.model_validate(part)
    except (ValidationError, RecursionError) as error:
        # `from None`: pydantic's own message would print the input again in a traceback.
        missing = isinstance(error, ValidationError) and any("patientId" in item["loc"] for item in error.errors())
        raise Poison("no_patient" if missing else "unknown_shape") from None


def _common(meta: Meta, received_at: str | None) -> dict[str, Any]:
    return {
        "messageId": meta.message_id,
        "type": meta.type,
        "when": meta.when,
        "requestId": meta.request_id,
        "receivedAt": received_at,
        "metadata": meta.data,
        "patientId": None,
        "externalId": None,
        "additionalIds": None,
    }


def _own(part: wire.Wire) -> dict[str, Any]:
    """Return the fields of `part`, but none that would overwrite what the delivery says of itself."""
    fields = part.model_dump(by_alias=True)
    for name in _OF_THE_DELIVERY:
        fields.pop(name, None)
    if not isinstance(part, wire.BulkPatientCreate):
        fields.pop("requestId", None)
    return fields


def _dumps(record: dict[str, Any]) -> bytes:
    try:
        return exact.dumps(record)
    except (ValueError, RecursionError):  # a lone surrogate, or deeper than any reader would follow
        raise Poison("unknown_shape") from None
