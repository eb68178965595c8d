"""What operators have accepted of the differences that `drift` tells: written to `audit`, read where they are told."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from models.states import DriftKind

COMMAND: Literal["drift accept"] = "drift accept"

Accepted: TypeAlias = tuple[str, str, str]  # message type, path, kind


class Difference(NamedTuple):
    """One difference, wherever it was seen."""

    type: str
    path: str
    kind: DriftKind


class _Row(msgspec.Struct):
    type: str
    path: str
    kind: str


class _Audited(msgspec.Struct, tag_field="command", tag=COMMAND):
    differences: list[_Row] = []


_decode = msgspec.json.Decoder(_Audited).decode


def told(differences: Sequence[Difference]) -> dict[str, list[dict[str, str]]]:
    """Return what a record of `audit` about `COMMAND` says beside what all do."""
    return {"differences": [each._asdict() for each in differences]}


def accepted(audited: bytes | None) -> set[Accepted]:
    """Return what a record of `audit` accepts; nothing if it is about something else."""
    try:
        rows = _decode(audited or b"").differences
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return set()
    return {(row.type, row.path, row.kind) for row in rows}
