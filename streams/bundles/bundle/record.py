"""Read a record of `bundles`: what the stage must know of it, and what it passes on as it came."""

from typing import NamedTuple

import msgspec
from pydantic import ValidationError

from models import records
from models.errors import Poison
from streams.engine.job import Record

# Nobody here looks into these. They stay bytes: no number in them is too large for us, and nothing is written anew.
_PASSED_ON = ("metadata", "additionalIds", "filters")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class BundleRecord(NamedTuple):
    """`bundle` is without the members passed on; those are by name, as they stood there."""

    bundle: records.Bundle
    passed_on: dict[str, msgspec.Raw]


def decoded(record: Record) -> BundleRecord:
    """Return what a record says, or raise `Poison`."""
    value = record.value or b""
    try:
        value.decode()
        members = _MEMBERS.decode(value)
        passed_on = {name: members.pop(name) for name in _PASSED_ON if name in members}
        known = {name: members[name] for name in _NAMES if name in members}
        return BundleRecord(records.Bundle.model_validate_json(msgspec.json.encode(known)), passed_on)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValidationError):
        raise Poison("unreadable") from None


def snapshot_value(summary: records.Snapshot, passed_on: dict[str, msgspec.Raw]) -> bytes:
    """Return the value of a record of `fhir.snapshots`."""
    return msgspec.json.encode(summary.model_dump(by_alias=True) | passed_on)


_NAMES = tuple(field.alias or name for name, field in records.Bundle.model_fields.items())
