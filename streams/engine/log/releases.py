"""Reads what operators decided for a stage: a record released from quarantine is handed to the job as it was refused.

A released record lies in `release.<stage>` with its original key, value and headers, the position it had, and
`x-released`, which says where in quarantine it stood. What else lies there is for the engine (`losses/decisions.py`) or
for a job that says `reads_decisions`.
"""

from collections.abc import Iterable
from typing import NamedTuple

from models import decisions as decided
from models import headers, reasons
from models.errors import Poison
from streams.engine.job import Headers, Output, Record
from streams.engine.log.source_header import without

_ADDED = (
    headers.RELEASED,
    headers.SOURCE,
    headers.QUARANTINE_REASON,
    headers.QUARANTINE_TOPIC,
    headers.QUARANTINE_PARTITION,
    headers.QUARANTINE_OFFSET,
    headers.QUARANTINE_TIMESTAMP,
    headers.QUARANTINE_ATTEMPT,
    headers.QUARANTINE_LEFT_OUT,
)
_DIGITS_MAX = 19  # of a 64-bit number


class Released(NamedTuple):
    """A `Record` with the topic, place and time that it had when it was refused."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    place: bytes  # `topic/partition/offset` of what was released from quarantine
    attempt: int  # how often it was tried before


def handed(record: Record, decisions: str, *, reads_decisions: bool) -> Record | None:
    """Return what the job is given of a record of a source: itself, or what was released with it; None for nothing.

    Raise `Poison` if it stands among decisions and is none.
    """
    if record.topic != decisions:
        return record
    if headers.get(record.headers, headers.RELEASED) is not None:
        return _released(record)
    if reads_decisions:
        return record
    if decided.said(record.value) is None:
        raise Poison(reasons.UNREADABLE)
    return None


def marked(outputs: Iterable[Output], source: Record | None) -> list[Output]:
    """Return the outputs of a record, with `x-released` if it was released from quarantine."""
    if not isinstance(source, Released):
        return list(outputs)
    mark = (headers.RELEASED, source.place)
    return [output._replace(headers=[*output.headers, mark]) for output in outputs]


def attempt(record: Record) -> int:
    """Return how often this record was tried, this time included."""
    return record.attempt + 1 if isinstance(record, Released) else 1


def _released(record: Record) -> Released:
    place = headers.get(record.headers, headers.RELEASED)
    topic = headers.text(record.headers, headers.QUARANTINE_TOPIC)
    if not place or not topic:
        raise Poison(reasons.UNREADABLE)
    return Released(
        topic,
        record.partition,
        _number(record, headers.QUARANTINE_OFFSET),
        _number(record, headers.QUARANTINE_TIMESTAMP),
        record.key,
        record.value,
        without(record.headers, *_ADDED),
        place,
        _number(record, headers.QUARANTINE_ATTEMPT),
    )


def _number(record: Record, name: str) -> int:
    said = headers.text(record.headers, name) or ""
    if not said.isascii() or not said.removeprefix("-").isdigit() or len(said) > _DIGITS_MAX:
        raise Poison(reasons.UNREADABLE)
    return int(said)
