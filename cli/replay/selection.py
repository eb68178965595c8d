"""Which records of a topic are meant. Pure: what is said of a record is read from it alone."""

from datetime import datetime
from typing import Protocol

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from models import headers, moments


class Received(Protocol):
    """A record as aiokafka gives it; `timestamp` in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: headers.Headers


class Place(BaseModel):
    """One record: its topic by its full name, partition and offset."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    topic: str
    partition: int
    offset: int


class Selection(BaseModel):
    """What must be true of a record that is meant: all of it. What is None, or false, is not asked.

    Times are those of `x-received-at`; of a record without it, those of Kafka. `begin` counts, `end` does not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)

    begin: AwareDatetime | None = None
    end: AwareDatetime | None = None
    type: str | None = None
    patient_id: str | None = None
    message_id: str | None = None
    request_id: str | None = None
    quarantined: bool = False
    since: Place | None = None
    since_time: AwareDatetime | None = None  # when the record at `since` was received
    missing_in: str | None = None  # a topic: those whose `ce_id` is there are not meant

    def takes(self, record: Received) -> bool:
        """Return whether a record is meant, as far as it can say itself: `missing_in` is not its own to say."""
        given = record.headers
        return (
            (self.type is None or headers.text(given, headers.CE_TYPE) == self.type)
            and (self.patient_id is None or _is_of(record, self.patient_id))
            and (self.message_id is None or headers.text(given, headers.MESSAGE_ID) == self.message_id)
            and (not self.quarantined or headers.text(given, headers.QUARANTINE_REASON) is not None)
            and self._is_in_time(record)
            and (self.request_id is None or _request_id(record.value) == self.request_id)
        )

    def _is_in_time(self, record: Received) -> bool:
        if self.begin is None and self.end is None and self.since is None:
            return True
        received = received_at(record)
        if (self.begin is not None and received < self.begin) or (self.end is not None and received >= self.end):
            return False
        if self.since is None or self.since_time is None:
            return True
        if (record.topic, record.partition) == (self.since.topic, self.since.partition):
            return record.offset >= self.since.offset
        return received >= self.since_time


def received_at(record: Received) -> datetime:
    """Return when the delivery behind a record was received; where it does not say, when Kafka took the record."""
    found = moments.parse(headers.text(record.headers, headers.RECEIVED_AT), zoned_only=True)
    return found if found is not None else moments.of_ms(record.timestamp)


def _is_of(record: Received, patient_id: str) -> bool:
    """Return whether a record is a patient's: its key is the id, or the id and something behind a slash.

    An id may hold a slash itself. Where the value names its patient, that decides.
    """
    owner = patient_id.encode()
    if record.key == owner:
        return True
    if record.key is None or not record.key.startswith(owner + b"/"):
        return False
    named = _said(record.value).patientId
    return named is None or named == patient_id


class _Meta(msgspec.Struct):
    requestId: object = None  # noqa: N815 - Metriport's name


class _Value(msgspec.Struct):
    requestId: object = None  # noqa: N815 - Metriport's name
    patientId: object = None  # noqa: N815 - Metriport's name
    meta: object = None


_NOTHING = _Value()


def _request_id(value: bytes | None) -> object:
    """Return the request id of a record of ours, or of a webhook as it came; None if there is none."""
    said = _said(value)
    if said.requestId is None and isinstance(said.meta, dict):
        return msgspec.convert(said.meta, _Meta).requestId
    return said.requestId


def _said(value: bytes | None) -> _Value:
    """Return what a value says, as far as it is asked here; nothing if it is no JSON object."""
    try:
        return msgspec.json.decode(value or b"", type=_Value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NOTHING
