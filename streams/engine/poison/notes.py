r"""Reads and writes which version works on a partition of the state, whether it is paused, and that it may go on.

The note is in the state below `\0version`; the decision is in `release.<stage>`: JSON with `decision` (`resume`).
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

from models import decisions
from streams.engine.job import RESERVED, Record

KEY = RESERVED + b"version"


@dataclass(frozen=True, kw_only=True)
class Note:
    """Which version works on a partition, since when (ms since 1970-01-01 UTC), and what became of that.

    Paused: a decision in `release.<stage>` from the offset `paused_from` on resumes it; `broken` of `records` had
    failed by then, `written` of them are in quarantine. Resumed: an operator lets this version go on, whatever fails.
    """

    version: str
    since_ms: int
    paused_from: int | None = None
    records: int = 0
    broken: int = 0
    written: int = 0
    resumed: bool = False

    def encode(self) -> bytes:
        """Return it as the state keeps it."""
        return json.dumps(asdict(self)).encode()


def note_of(value: bytes | None, version: str, now_ms: int) -> Note:
    """Return what the state says of this version; a note of another one, or none, says that it begins now.

    What the note of a newer version says beside is left out: going back must not end at its note, again and again.
    """
    said = json.loads(value) if value else {}
    if said.get("version") != version:
        return Note(version=version, since_ms=now_ms)
    return Note(**{field.name: said[field.name] for field in fields(Note) if field.name in said})


def resuming() -> bytes:
    """Return the value of a record that says: go on with the version that runs."""
    return json.dumps({"decision": decisions.RESUME}).encode()


def resumes(records: Iterable[Record]) -> bool:
    """Return whether any of these decisions lets the stage go on."""
    return any((decisions.said(record.value) or {}).get("decision") == decisions.RESUME for record in records)
