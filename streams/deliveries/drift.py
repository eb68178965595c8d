"""What is remembered of the differences between deliveries and what is known, and when it is told. Pure: a fold.

One entry of the stage's table per message type (all types that are not known share one), key `d/<type>`: the paths that
differed, counted by kind, at most `paths_max` of them; and of each field that a message may lack, once it was seen, for
how many messages it has been absent (`streak`) and was at most absent before it came again (`longest`). A field has
stopped coming when it is absent `absent_records` times in a row, and four times as often as ever before: what comes
seldom is not missed at once.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from models import exact, headers, topics
from models.states import DriftKind
from streams.deliveries import events
from streams.deliveries.sentinel import MASK, Difference, Look, Sentinel
from streams.engine.job import Output, State

_RARER = 4
_MEMORY_MAX = 256  # states of one type that are remembered
_REMEMBERED_BYTES_MAX = 8192  # of each
_ID_MAX = 128


class Bounds(NamedTuple):
    """What limits the sentinel."""

    paths_max: int = 100
    absent_records: int = 200
    values_max: int = 20_000


class Origin(NamedTuple):
    """The delivery that was looked at: `place` names it in `ce_id`, `at` is when it was received."""

    place: str
    message_id: str | None
    at: str
    partition: int


class Entry(msgspec.Struct):
    """What is remembered of one type and path."""

    counts: dict[DriftKind, int]
    first_seen: str
    last_seen: str
    message_id: str | None


class Remembered(msgspec.Struct):
    """The state of one message type: entries by `type/path`, `[streak, longest]` by the path of a field."""

    entries: dict[str, Entry] = {}
    absent: dict[str, list[int]] = {}


class _Bits(NamedTuple):
    seen: int
    streak: int


_decode = msgspec.json.Decoder(Remembered).decode
_encode = msgspec.json.Encoder().encode


def entries(state: bytes) -> dict[str, Entry]:
    """Return what the state of a type says differed, by `type/path`."""
    return _decode(state).entries


class Drift:
    """Folds what was seen of deliveries into the stage's table, and tells what is new."""

    def __init__(self, prefix: str, sentinel: Sentinel, bounds: Bounds) -> None:
        self.topic = prefix + topics.DRIFT
        self._sentinel = sentinel
        self._bounds = bounds
        self._memory: dict[bytes, dict[bytes | None, _Bits]] = {}
        self._last: dict[bytes, tuple[bytes, Remembered]] = {}

    def changes(self, look: Look, raw: bytes | None) -> bool:
        """Return whether a delivery changes the state of its type, or tells anything."""
        return bool(look.differences) or self._is_other(look, raw)

    def apply(self, look: Look, state: State, origin: Origin) -> Iterator[Output]:
        """Fold one delivery; yield a record for each difference that is new, or whose count is a power of ten."""
        raw = state.get(look.key)
        is_other = self._is_other(look, raw)
        bits = self._memory[look.key].get(raw)
        known = self._remembered(look.key, raw)
        differences = dict.fromkeys(look.differences)
        if is_other:
            differences |= dict.fromkeys(self._absent(look, known))
        counted = set[tuple[int, DriftKind]]()
        for number, each in enumerate(differences):
            told_type, difference, entry = self._entry(look, each, known, origin)
            if (id(entry), difference.kind) in counted:  # one delivery, however much of it is told together
                continue
            counted.add((id(entry), difference.kind))
            count = entry.counts[difference.kind] = entry.counts.get(difference.kind, 0) + 1
            entry.last_seen = max(entry.last_seen, origin.at)
            if count == 1:
                state.note(
                    events.DRIFTED,
                    type=_label(look),
                    kind=difference.kind,
                    message_type=told_type,
                    path=difference.path,
                    partition=origin.partition,
                )
            if str(count).strip("0") == "1":
                yield self._record(told_type, difference, entry, origin, number)
        after = _encode(known)
        if after != raw:
            state.put(look.key, after)
        self._last[look.key] = after, known
        if bits is not None and not is_other:
            self._keep(look.key, after, bits)

    def _entry(
        self, look: Look, difference: Difference, known: Remembered, origin: Origin
    ) -> tuple[str, Difference, Entry]:
        """Return the entry that a difference counts in: that of all others when there are too many."""
        told_type = look.type
        found = known.entries.get(f"{told_type}/{difference.path}")
        if found is None and difference.kind != "too_many" and len(known.entries) >= self._bounds.paths_max:
            told_type = look.type if look.is_known else MASK
            difference = Difference("too_many", MASK)
            found = known.entries.get(f"{told_type}/{MASK}")
        if found is None:
            example = origin.message_id[:_ID_MAX] if origin.message_id else None
            found = known.entries[f"{told_type}/{difference.path}"] = Entry({}, origin.at, origin.at, example)
        return told_type, difference, found

    def _absent(self, look: Look, known: Remembered) -> Iterator[Difference]:
        """Count for how long fields have been absent; yield those that have stopped coming."""
        paths = self._sentinel.optional_paths(look.type)
        before = known.absent
        known.absent = {}
        for number, path in enumerate(paths):
            bit = 1 << number
            streak, longest = before.get(path, (0, 0))
            if look.present & bit:
                known.absent[path] = [0, max(streak, longest)]
            elif path in before:
                streak += bool(look.asked & bit)
                known.absent[path] = [streak, longest]
                if look.asked & bit and streak >= max(self._bounds.absent_records, _RARER * longest):
                    yield Difference("missing_field", path)

    def _remembered(self, key: bytes, raw: bytes | None) -> Remembered:
        """Return what a state says, free to be changed: the one that was written last is not read again."""
        last, known = self._last.pop(key, (None, None))
        if known is not None and last == raw:
            return known
        return _decode(raw) if raw else Remembered({}, {})

    def _is_other(self, look: Look, raw: bytes | None) -> bool:
        """Return whether a field came that was absent, or not known to come, or one is absent that came."""
        memory = self._memory.get(look.key)
        seen, streak = (memory.get(raw) if memory else None) or self._bits(look, raw)
        return bool(seen & look.asked & ~look.present or look.present & (~seen | streak))

    def _bits(self, look: Look, raw: bytes | None) -> _Bits:
        absent = _decode(raw).absent if raw else {}
        paths = self._sentinel.optional_paths(look.type) if look.is_known else ()
        found = _Bits(
            sum(1 << number for number, path in enumerate(paths) if path in absent),
            sum(1 << number for number, path in enumerate(paths) if absent.get(path, [0])[0]),
        )
        self._keep(look.key, raw, found)
        return found

    def _keep(self, key: bytes, raw: bytes | None, bits: _Bits) -> None:
        memory = self._memory.setdefault(key, {})
        if raw is not None and len(raw) > _REMEMBERED_BYTES_MAX:
            return
        if len(memory) >= _MEMORY_MAX:
            memory.clear()
        memory[raw] = bits

    def _record(self, told_type: str, difference: Difference, entry: Entry, origin: Origin, number: int) -> Output:
        value = {
            "type": told_type,
            "path": difference.path,
            "partition": origin.partition,
            "kind": difference.kind,
            "count": sum(entry.counts.values()),
            "counts": entry.counts,
            "firstSeen": entry.first_seen,
            "lastSeen": entry.last_seen,
            "messageId": entry.message_id,
        }
        event = headers.cloud_event(
            ce_id=f"{topics.DRIFT}/{origin.place}/{number}",
            source="metriport-streams/deliveries",
            kind=topics.DRIFT,
            time=origin.at,
        )
        name = f"{told_type}/{difference.path}/{origin.partition}".encode()
        return Output(self.topic, name, exact.dumps(value), event)


def _label(look: Look) -> str:
    """Return a type of a bounded set, for metrics and state."""
    return look.type if look.is_known else topics.UNRECOGNISED
