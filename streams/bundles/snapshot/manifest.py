"""Keep what is known of a patient's resources: one short entry each, in shards that fit a state record.

A manifest is loaded, changed in memory by one snapshot, and written back: the head always, a shard only if it changed.
A changed shard is written beside the old one, and only the new head says that it is the one to read. So a run that
stops in between leaves the manifest as it was.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from struct import Struct
from typing import NamedTuple
from urllib.parse import quote
from zlib import crc32

import msgspec

from models import tuning

# In the state, as msgpack, shown here as JSON; each of the structs below is a list of its fields in their order.
#
# `manifest/<patient>`, a `Head`:
#   [2, [0, 1], "fhir.resources=8.3.0 …",
#    [["consolidated", 1735689600000, "9f86…", 1840, 2, {"Observation": 1203}, "9f86…", [[20089, 1840]], [[20091, 3]]],
#     ["encounter/e-1", 1735776000000, "", 12, 0, {}, "", [], []]],
#    ["partial", 0, "", 0, 0, {}, "", [], []], {1: "m-17"}, {1: "bundles/ab/cdef"}, 1851, {"Observation": 1203}]
#
# `manifest/<patient>/<shards>/<number>/<slot>`, a list of `Entry`; hashes are 16 bytes, `…` here:
#   [["Observation", "o-1", ["o-1", "o-0"], …, …, …, 2, 1735689600000, [0], [[0, 1, 1735776000000, 1735776000000, 0]],
#     "", true, 0, false, …]]
FORMAT = 2
SHARD_ENTRIES = 1024  # about 300 bytes each, some with many ids: far below the 800 kB a state record may have
IDS_MAX = 32
_LENGTHS = Struct("<II")
_PLACE = Struct("<IQQ")
_LENGTHS_AT = 16
_PARTS_AT = _LENGTHS_AT + _LENGTHS.size


class Scope(msgspec.Struct, array_like=True):
    """What is kept about the snapshots of one scope: the consolidated record, one encounter, or notifications.

    `when_ms` is that of the newest complete snapshot, by Metriport's clock. `sha256`, `accepted`, `rejected` and
    `by_type` are about the newest one; the hash is empty once other snapshots changed entries since. `absence_sha256`
    is the hash of the bytes whose absences were counted last: the same bytes are one absence. `sets` are the largest
    sets accepted of late, `removals` what was removed of late, each with the day it was received.
    """

    name: str
    when_ms: int = 0
    sha256: str = ""
    accepted: int = 0
    rejected: int = 0
    by_type: dict[str, int] = msgspec.field(default_factory=dict)
    absence_sha256: str = ""
    sets: list[tuple[int, int]] = msgspec.field(default_factory=list)
    removals: list[tuple[int, int]] = msgspec.field(default_factory=list)


class Place(NamedTuple):
    """Where the bytes are that are published: the number of the blob, and the positions in it."""

    blob: int
    start: int
    end: int


def packed_place(blob: int, start: int, end: int) -> bytes:
    """Return a place as an entry keeps it."""
    return _PLACE.pack(blob, start, end)


class Absence(NamedTuple):
    """How often complete snapshots of a scope did not have an entry, since when, and when they said so last.

    `hold` is the number under which its removal is held, 0 if it is not.
    """

    scope: int
    times: int
    since_ms: int
    when_ms: int
    hold: int = 0


class Entry(msgspec.Struct, array_like=True, gc=False):
    """One resource. Nothing in it is a container that the garbage collector would have to follow: there are many.

    `ids[0]` is the id it has now, the others it had or was merged from. Version 0: never accepted. No scopes: gone, but
    kept, so that its version goes on should it come back. `rejected` is the hash of the newest bytes that were refused.
    `published` says whether `fhir.state` has it; `raw` is the hash of the bytes there.

    `when_ms` is the time of the snapshot that brought its content. Later ones confirmed it: the newest complete one of
    every scope that has it and does not miss it; the newest partial one, if `partial`; any other up to `confirmed_ms`.

    `known_by` holds `text`, `facets`, `names` and `links`, by which it can be recognised (`content_hash.Words`,
    `references.Linked`): one field, as a repeat reads all entries and asks for none of them. Shorter in an entry that
    an older version wrote: then its ids alone decide.
    """

    type: str
    identity: str
    ids: tuple[str, ...]
    raw: bytes
    content: bytes = b""
    known_by: bytes = b""
    version: int = 0
    when_ms: int = 0
    scopes: tuple[int, ...] = ()
    absences: tuple[Absence, ...] = ()
    rejected: bytes = b""
    published: bool = False
    confirmed_ms: int = 0
    partial: bool = False
    place: bytes = b""

    @property
    def text(self) -> bytes:
        """The hash of all it says, but of what it refers to only the types; empty if that is not known."""
        return self.known_by[:_LENGTHS_AT] if len(self.known_by) > _LENGTHS_AT else b""

    @property
    def facets(self) -> bytes:
        """The hashes of each thing it says."""
        return self._part(0)

    @property
    def names(self) -> bytes:
        """The hashes of the identifiers that may name this very thing."""
        return self._part(1)

    @property
    def links(self) -> bytes:
        """What it refers to."""
        return self._part(2)

    def _part(self, number: int) -> bytes:
        if len(self.known_by) <= _LENGTHS_AT:
            return b""
        facets, names = _LENGTHS.unpack_from(self.known_by, _LENGTHS_AT)
        ends = (_PARTS_AT, _PARTS_AT + facets, _PARTS_AT + facets + names, len(self.known_by))
        return self.known_by[ends[number] : ends[number + 1]]

    def learn(self, text: bytes, facets: bytes, names: bytes, links: bytes) -> None:
        """Note what it can be recognised by from now on."""
        self.known_by = b"".join([text, _LENGTHS.pack(len(facets), len(names)), facets, names, links]) if text else b""

    def add_ids(self, ids: Iterable[str]) -> None:
        """Remember more ids, the newest first, not more than the limit."""
        self.ids = tuple(dict.fromkeys((*ids, *self.ids)))[:IDS_MAX]

    @property
    def placed(self) -> Place | None:
        """Where the published bytes are, if that is known."""
        return Place(*_PLACE.unpack(self.place)) if self.place else None

    def add_older_ids(self, ids: Iterable[str]) -> None:
        """Remember more ids, none of which is the one it has now."""
        self.ids = tuple(dict.fromkeys((*self.ids, *ids)))[:IDS_MAX]

    def absence(self, scope: int) -> Absence | None:
        """Return its absence in a scope, if it is missing there."""
        return next((absence for absence in self.absences if absence.scope == scope), None)

    def is_missing(self, scope: int) -> bool:
        """Whether the newest complete snapshot of a scope did not have it."""
        return bool(self.absences) and self.absence(scope) is not None

    def set_absence(self, scope: int, absence: Absence | None) -> None:
        """Note how it is missing in a scope, or that it is not."""
        others = tuple(other for other in self.absences if other.scope != scope)
        self.absences = others if absence is None else (*others, absence)


class Head(msgspec.Struct, array_like=True):
    """What is needed to read the rest; `partial` is about the newest partial snapshot of the consolidated record.

    `holds` are the snapshots whose removals are held, by number; `blobs` those that hold what is published, by number;
    `sequence` is the number of the newest change; `state` is how many resources are published, by type.
    """

    format: int = FORMAT
    slots: list[int] = msgspec.field(default_factory=lambda: [0])
    validator: str = ""
    scopes: list[Scope] = msgspec.field(default_factory=list)
    partial: Scope = msgspec.field(default_factory=lambda: Scope("partial"))
    holds: dict[int, str] = msgspec.field(default_factory=dict)
    blobs: dict[int, str] = msgspec.field(default_factory=dict)
    sequence: int = 0
    state: dict[str, int] = msgspec.field(default_factory=dict)


class Manifest:
    """A patient's entries, with the ways to find one."""

    def __init__(self, patient: str, head: Head, entries: Iterable[Entry]) -> None:
        self.patient = patient
        self.head = head
        self._entries = {(entry.type, entry.identity): entry for entry in entries}
        self._changed: set[int] = set()
        self._old: list[bytes] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    # Lookup tables over the entries as loaded. Built on first use, and not updated by `put`; a repeated bundle never
    # needs them.

    @cached_property
    def by_raw(self) -> dict[bytes, Entry]:
        """The entries by the hash of their bytes, accepted or rejected."""
        found = {entry.rejected: entry for entry in self._entries.values() if entry.rejected}
        found.update({entry.raw: entry for entry in self._entries.values() if entry.raw})
        return found

    @cached_property
    def nameless(self) -> dict[bytes, list[Entry]]:
        """The entries without an id by the hash of their bytes, accepted or rejected: there may be several."""
        found: defaultdict[bytes, list[Entry]] = defaultdict(list)
        for entry in self._entries.values():
            if not entry.ids:
                for digest in filter(None, (entry.raw, entry.rejected)):
                    found[digest].append(entry)
        return dict(found)

    @cached_property
    def by_id(self) -> dict[tuple[str, str], Entry]:
        """The entries by type and every id they are known to have or to have had."""
        found: dict[tuple[str, str], Entry] = {}
        for entry in self._entries.values():
            for known in entry.ids:
                found.setdefault((entry.type, known), entry)
        return found

    def get(self, resource_type: str, identity: str) -> Entry | None:
        """Return the entry of one identity."""
        return self._entries.get((resource_type, identity))

    def put(self, entry: Entry) -> None:
        """Add `entry`, or note that it changed."""
        self._entries[entry.type, entry.identity] = entry
        self._changed.add(_shard(entry, len(self.head.slots)))

    @property
    def is_changed(self) -> bool:
        """Whether an entry was added or changed."""
        return bool(self._changed)

    def scope(self, name: str) -> int:
        """Return the number of a scope, new or known."""
        for number, scope in enumerate(self.head.scopes):
            if scope.name == name:
                return number
        self.head.scopes.append(Scope(name))
        return len(self.head.scopes) - 1

    def shards(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield the changed shards as they are written beside the old ones: keys and values of the state."""
        self._old = shard_keys(self.patient, self.head)
        if not self._changed:
            return
        count, slots = max(_shards(len(self._entries)), len(self.head.slots)), self.head.slots
        if count > len(slots):
            slots, self._changed = [1] * count, set(range(count))
        entries: defaultdict[int, list[Entry]] = defaultdict(list)
        for entry in self._entries.values():
            if (number := _shard(entry, count)) in self._changed:
                entries[number].append(entry)
        self.head.slots = [1 - slot if number in self._changed else slot for number, slot in enumerate(slots)]
        keys = shard_keys(self.patient, self.head)
        for number in sorted(self._changed):
            yield keys[number], msgspec.msgpack.encode(entries[number])

    def switch(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield the new head, and the end of the shards that it does not name any more. Only after `shards`."""
        yield head_key(self.patient), msgspec.msgpack.encode(self.head)
        now = set(shard_keys(self.patient, self.head))
        yield from ((key, None) for key in self._old if key not in now)

    def write_all(self) -> None:
        """Have all shards written: they were read in an older format."""
        self._changed = set(range(len(self.head.slots)))

    def free(self) -> None:
        """Let go of all entries; the manifest is of no more use."""
        tuning.free_one_by_one(self.__dict__.get("by_raw", {}), self.__dict__.get("by_id", {}), self._entries)


def head_key(patient: str) -> bytes:
    """Return the state key of a patient's manifest."""
    return _key(patient)


def shard_keys(patient: str, head: Head) -> list[bytes]:
    """Return the state keys of all shards."""
    count = len(head.slots)
    return [_key(patient, count, number, slot) for number, slot in enumerate(head.slots)]


def _key(patient: str, *parts: int) -> bytes:
    return "/".join(("manifest", quote(patient, safe=""), *map(str, parts))).encode()


def _shard(entry: Entry, count: int) -> int:
    return crc32(f"{entry.type}/{entry.identity}".encode()) % count if count > 1 else 0


def _shards(entries: int) -> int:
    wanted = 1
    while wanted * SHARD_ENTRIES < entries:
        wanted *= 2
    return wanted
