"""What the engine keeps for itself in the state: how far each source is done, and what the tails said beyond that."""

from collections.abc import Iterable, Iterator

from streams.engine.job import Changes
from streams.engine.sources import Place
from streams.engine.store import LocalState
from streams.engine.tails import Tails

_POSITION = b"\0pos/"
_TAIL = b"\0tail/"


def position_key(source_topic: str) -> bytes:
    """Return the key of the next offset of this source."""
    return _POSITION + source_topic.encode()


def position(value: bytes | None) -> int:
    """Return the next offset that a value says; 0 if there is none."""
    return int(value or 0)


def moved(source_topic: str, offset: int) -> dict[bytes, bytes | None]:
    """Return the change that says: everything below `offset` is done."""
    return {position_key(source_topic): b"%d" % offset}


def positions(state: LocalState, partition: int) -> Iterator[tuple[str, int]]:
    """Yield each source's next offset."""
    for key, value in state.scan(partition, _POSITION):
        yield key.removeprefix(_POSITION).decode(), position(value)


def recall(state: LocalState, partition: int, tails: Tails) -> None:
    """Add to `tails` what earlier owners noted."""
    for key, value in state.scan(partition, _TAIL):
        topic, _, source_topic = key.removeprefix(_TAIL).decode().partition("/")
        offset, _, index = value.partition(b"/")
        tails.remember(source_topic, topic, (int(offset), int(index)))


def ahead(state: LocalState, partition: int, tails: Tails) -> Changes:
    """Return the changes that note which outputs are written ahead of the state.

    Other sources' outputs may push them out of the tail before their own source comes to them again, and then a second
    crash would repeat them.
    """
    done = dict(positions(state, partition))
    return {
        _tail_key(topic, source_topic): b"%d/%d" % place
        for source_topic, topic, place in _places(tails)
        if place[0] >= done.get(source_topic, 0)
    }


def begun(state: LocalState, partition: int, tails: Tails) -> Iterator[tuple[str, int, int]]:
    """Yield each source whose outputs are ahead of the state, with the first offset to do again and the one behind."""
    done = dict(positions(state, partition))
    for source_topic, places in tails.written.items():
        start = done.get(source_topic, 0)
        end = max((offset + 1 for offset, _ in places.values()), default=0)
        if end > start:
            yield source_topic, start, end


def _places(tails: Tails) -> Iterable[tuple[str, str, Place]]:
    for source_topic, places in tails.written.items():
        for topic, place in places.items():
            yield source_topic, topic, place


def _tail_key(topic: str, source_topic: str) -> bytes:
    return _TAIL + f"{topic}/{source_topic}".encode()
