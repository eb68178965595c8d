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


def record(differences: Sequence[Difference], *, at: str, by: str) -> bytes:
    """Return what `audit` is told."""
    told = {
        "at": at,
        "by": by,
        "command": COMMAND,
        "stage": "deliveries",
        "says": f"{len(differences)} differences from what is known are accepted",
        "differences": [each._asdict() for each in differences],
    }
    return msgspec.json.encode(told)


def accepted(audited: bytes | None) -> set[Accepted]:
    """Return what a record of `audit` accepts; nothing if it is about something else."""
    try:
        rows = _decode(audited or b"").differences
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return set()
    return {(row.type, row.path, row.kind) for row in rows}
