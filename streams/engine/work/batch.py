"""The records of one fetch from one partition: what the engine processes, and what a commit counts in."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.engine.job import Record


@dataclass(slots=True, eq=False)
class Batch:
    """`start` and `end` are the fetch positions before and after; `epoch` counts the seeks before it was fetched.

    The records stay out of its text: Faust logs what it waits for.
    """

    records: Sequence[Record] = field(repr=False)
    start: int
    end: int
    epoch: int
    size: int
    fetched_at: float
    abandoned: bool = False  # work on it ended early; it will be read again, so it must not count as finished


def size(records: Sequence[Record]) -> int:
    """Return the bytes of keys and values, roughly what holding them costs."""
    return sum(len(record.key or b"") + len(record.value or b"") for record in records)
