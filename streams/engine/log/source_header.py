"""Reads and writes `x-source`: which input record made an output, and which of its outputs in that topic it is."""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from models.headers import GENERATION, SOURCE, get
from streams.engine.job import Headers

Place: TypeAlias = tuple[int, int]
NOWHERE: Place = (-1, -1)


class SourceHeader(NamedTuple):
    """The parts of one `x-source`."""

    topic: str
    partition: int
    offset: int
    ordinal: int


def parse(raw: bytes) -> SourceHeader | None:
    """Return the parts, or None if this is not one of ours."""
    parts = raw.decode("utf-8", "replace").rsplit("/", 3)
    if len(parts) != 4 or not all(part.isdecimal() for part in parts[1:]):  # noqa: PLR2004 - topic and three numbers
        return None
    return SourceHeader(parts[0], int(parts[1]), int(parts[2]), int(parts[3]))


def without(headers: Iterable[tuple[str, bytes | None]], *names: str) -> list[tuple[str, bytes | None]]:
    """Return the headers that are not called one of `names`."""
    return [(key, value) for key, value in headers if key not in names]


class Sequencer:
    """Counts the outputs of each record by topic, and leaves out those at or before what is already written."""

    def __init__(self, topic: str, partition: int, written: dict[str, Place], generation: str = "") -> None:
        self._prefix = b"%s/%d/" % (topic.encode(), partition)
        self._written = written
        self._generation: Headers = [(GENERATION, generation.encode())] if generation else []
        self._next: dict[str, Place] = {}

    def stamp(self, output_topic: str, offset: int, headers: Headers) -> list[tuple[str, bytes | None]] | None:
        """Return the headers of the next output of the record at `offset`, or None if it is written already."""
        at, index = self._next.get(output_topic, NOWHERE)
        index = index if at == offset else 0
        self._next[output_topic] = (offset, index + 1)
        if (offset, index) <= self._written.get(output_topic, NOWHERE):
            return None
        if get(headers, SOURCE) is not None:
            headers = without(headers, SOURCE)
        return [*headers, *self._generation, (SOURCE, b"%s%d/%d" % (self._prefix, offset, index))]
