"""Reads and writes the engine's own state keys: how far each source is done, and what its outputs hold beyond that."""

import json
from collections.abc import Iterator, Mapping

from streams.engine.fingerprints import Fingerprint, digest, fingerprint, parse
from streams.engine.job import Changes, Record
from streams.engine.log.output_tails import Floors, Tails
from streams.engine.ports import LocalState, Scan

# The engine's keys in each partition number of the state, and what they hold; `attempts` has those below `\0try/`.
_POSITION = b"\0pos/"  # \0pos/<source topic> -> b"1234", the next offset to process
_PARTITIONS = b"\0partitions"  # -> b"12", the TOPIC_PARTITIONS that the state was made with
_TAIL = b"\0tail/"  # \0tail/<output topic>/<source topic> -> b"1240/0", offset/ordinal: an output ahead of the state
_FINGERPRINT = b"\0mark/"  # \0mark/<source topic>/<slot, two digits> -> b"1233/1700000000000/<32 hex digits>"
_END = b"\0end/"  # \0end/<output topic> -> b"88/0/<32 hex digits>", the last record that was written to it
_FLOOR = b"\0floor/"  # \0floor/<source topic> -> b'{"<output topic>": 17}', see `floored`
_VOID = b"\0void/"  # \0void/<source topic> -> b"1234", see `voided`
_SLOTS = 24

Edit = dict[bytes, bytes | None]


def position_key(source_topic: str) -> bytes:
    """Return the key of the next offset of this source."""
    return _POSITION + source_topic.encode()


def position(value: bytes | None) -> int:
    """Return the next offset that a value says; 0 if there is none."""
    return int(value or 0)


def done_below(source_topic: str, offset: int) -> Edit:
    """Return the change that says: everything below `offset` is done."""
    return {position_key(source_topic): b"%d" % offset}


def done_up_to(source_topic: str, record: Record) -> Edit:
    """Return the changes that say: everything up to this record is done, and this is how to know it again.

    The digest chooses the slot, and each slot half as often as the one before: so few fingerprints stay, close together
    near the position and farther apart behind it. They tell where a log departs from the one that was read.
    """
    made = fingerprint(record)
    bits = int(made.digest[:8], 16)
    slot = min((bits & -bits).bit_length(), _SLOTS)
    key = _FINGERPRINT + b"%s/%02d" % (source_topic.encode(), slot)
    return {**done_below(source_topic, record.offset + 1), key: made.text()}


def fingerprints(state: Scan, partition: int, source_topic: str) -> list[Fingerprint]:
    """Return the fingerprints of records of this source that were read, by offset."""
    return sorted(parse(value) for _, value in state.scan(partition, _FINGERPRINT + source_topic.encode() + b"/"))


def known_position(state: Scan, partition: int, source_topic: str) -> int | None:
    """Return the next offset of this source, None if the state says none."""
    key = position_key(source_topic)
    return next((position(value) for found, value in state.scan(partition, key) if found == key), None)


def wrote(topic: str, offset: int, key: bytes | None, value: bytes | None) -> Edit:
    """Return the change that says: this is the last record written to an output."""
    return {_END + topic.encode(): Fingerprint(offset, 0, digest(key, value)).text()}


def ends(state: Scan, partition: int) -> Iterator[tuple[str, Fingerprint]]:
    """Yield each output with the last record that was written to it; its timestamp is not known."""
    for key, value in state.scan(partition, _END):
        yield key.removeprefix(_END).decode(), parse(value)


def unwritten(topic: str) -> Edit:
    """Return the change that forgets which record was written last to an output."""
    return {_END + topic.encode(): None}


def going_on(state: Scan, partition: int, source_topic: str, offset: int) -> Edit:
    """Return the changes that make a source go on from `offset`, as if nothing behind it had been read."""
    gone = {
        key: None
        for key, value in state.scan(partition, _FINGERPRINT + source_topic.encode() + b"/")
        if parse(value).offset >= offset
    }
    return {**gone, **done_below(source_topic, offset)}


def floored(state: Scan, partition: int, source_topic: str, floors: Mapping[str, int]) -> Edit:
    """Return the changes that say: outputs below these offsets say nothing of this source."""
    tails: Edit = {
        key: None for key, _ in state.scan(partition, _TAIL) if key.rpartition(b"/")[2] == source_topic.encode()
    }
    return tails | {_FLOOR + source_topic.encode(): json.dumps(dict(floors)).encode()}


def floors(state: Scan, partition: int) -> Floors:
    """Return below which offsets of which outputs nothing is said of which source."""
    return {
        (key.removeprefix(_FLOOR).decode(), topic): offset
        for key, value in state.scan(partition, _FLOOR)
        for topic, offset in json.loads(value).items()
    }


def voided(source_topic: str, offset: int) -> Edit:
    """Return the change that says: what the group committed up to `offset` is known to mean nothing."""
    return {_VOID + source_topic.encode(): b"%d" % offset}


def void(state: Scan, partition: int, source_topic: str) -> int:
    """Return up to where the group's offset means nothing."""
    key = _VOID + source_topic.encode()
    return next((int(value) for found, value in state.scan(partition, key) if found == key), 0)


def positions(state: LocalState, partition: int) -> Iterator[tuple[str, int]]:
    """Yield each source's next offset."""
    for key, value in state.scan(partition, _POSITION):
        yield key.removeprefix(_POSITION).decode(), position(value)


def make_with(partitions: int) -> Changes:
    """Return the change that notes with how many partitions the state is made."""
    return {_PARTITIONS: b"%d" % partitions}


def made_with(state: LocalState, partition: int) -> int | None:
    """Return with how many partitions the state was made; None if it is new, or older than this note."""
    [value] = state.get_many(partition, [_PARTITIONS])
    return None if value is None else int(value)


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
        _TAIL + f"{topic}/{source_topic}".encode(): b"%d/%d" % place
        for source_topic, places in tails.written.items()
        for topic, place in places.items()
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
