"""Which known resource is this one? Metriport's ids change with every conversion, so an id is only the first answer.

In this order: the id, or one that was merged into it; the same content, with what is referred to; what the type's
sameness rests on (`evidence`). What is referred to comes first: then "the same content" means the same targets, too.
Equal contents pair off in order. In doubt, two resources are two facts.

Each known resource is given out once, except those of types that documents share: every document brings its own copy of
them, so there the content comes before the id, and what says the same is the same one.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property

from streams.bundles.snapshot.candidates import Candidates
from streams.bundles.snapshot.layers import Layers
from streams.bundles.snapshot.manifest import Entry, Manifest
from streams.bundles.snapshot.references import Resolver
from streams.bundles.snapshot.scan import Row
from streams.bundles.validation.chunk import REFUSED

SHARED_TYPES = frozenset({"Medication", "Practitioner", "Organization", "Location"})


class Identities:
    """Gives each row its entry or a new identity; `rows` are by type and id."""

    def __init__(
        self, manifest: Manifest, seen: Sequence[Entry], rows: Mapping[object, Row], resolver: Resolver
    ) -> None:
        self._manifest = manifest
        self._rows = rows
        self._seen = seen
        self._resolver = resolver
        self._given = set(map(id, seen))
        self._first: dict[tuple[str, bytes], Row] = {}
        self._reached: dict[tuple[str, str], tuple[str, int]] = {}
        self._passed: dict[bytes, int] = {}
        self.fresh: dict[tuple[str, str], Row] = {}

    def give(self, rows: list[Row], *, fold: bool) -> None:
        """Give identities to all rows; `fold` lets entries that were merged into one be superseded by it."""
        single = [row for row in rows if row.type not in SHARED_TYPES]
        for row in single:
            self._by_id(row)
        for row in sorted((row for row in single if row.aliases), key=_name):
            self._by_aliases(row, fold=fold)
        if unknown := [row for row in rows if not row.identity]:
            self._by_words(unknown)
        for row in rows:
            row.content, row.links = self._resolver.linked(row)
            if row.finding in REFUSED:
                row.content = b""

    def _by_words(self, unknown: list[Row]) -> None:
        """Give identities by what the resources say, in layers: what is referred to first."""
        candidates = Candidates(self._manifest, unknown, self._is_offered, self._rows, self._resolver)
        waiting = []
        for row in unknown:
            if row.type in SHARED_TYPES or row.type in candidates.types:
                waiting.append(row)
            else:
                self._new(row, row.id)
        layers = Layers(waiting, self._resolver)
        while layer := layers.ready():
            self._settle(layer, candidates)
            layers.settled(layer)
            while layers.is_stuck and (pairs := candidates.in_circles(layers.waiting)):
                for row, entry in pairs:
                    self._take(row, entry)
                layers.settled([row for row, _ in pairs])

    def _is_offered(self, entry: Entry) -> bool:
        """Whether `entry` may still be given to a resource under another id."""
        return entry.type in SHARED_TYPES or (id(entry) not in self._given and not self._is_present(entry))

    def _settle(self, layer: list[Row], candidates: Candidates) -> None:
        """Give identities to rows all of whose targets have theirs."""
        rest, twins = [], []
        for row in layer:
            row.content, row.links = self._resolver.linked(row)
            if row.type in SHARED_TYPES and (earlier := self._earlier(row)) is not None:
                twins.append((row, earlier))
                continue
            entry = candidates.same(row) or candidates.same_but_for_lost(row)
            if entry is None:
                rest.append(row)
            else:
                # Its bytes may have been seen, too: then this is one more copy of it.
                row.twin = id(entry) in self._given
                self._take(row, entry)
        for row in rest:
            if row.type in SHARED_TYPES:
                self._by_id(row)
            if row.entry is None and (entry := candidates.evident(row)) is not None and id(entry) not in self._given:
                self._take(row, entry)
            if row.entry is None:
                shared = row.type in SHARED_TYPES and row.finding not in REFUSED
                self._new(row, f"c-{row.content.hex()}" if shared else row.id)
        # Only now has each of the earlier ones its identity.
        for row, earlier in twins:
            row.twin, row.identity, row.entry = True, earlier.identity, earlier.entry

    def _earlier(self, row: Row) -> Row | None:
        """Return an earlier row that says the same: `row` is that resource."""
        if row.finding in REFUSED:
            return None
        earlier = self._first.setdefault((row.type, row.content), row)
        return earlier if earlier is not row else None

    @cached_property
    def _present(self) -> set[tuple[str, str]]:
        """The present ids of what was seen: hardly ever asked for."""
        return {(entry.type, entry.ids[0]) for entry in self._seen if entry.ids}

    def _take(self, row: Row, entry: Entry) -> None:
        self._given.add(id(entry))
        row.entry, row.identity = entry, entry.identity

    def _by_id(self, row: Row) -> None:
        entry = self._manifest.by_id.get((row.type, row.id)) if row.id else self._by_bytes(row)
        if entry is not None and id(entry) not in self._given and self._is_free(entry, row):
            self._take(row, entry)

    def _by_bytes(self, row: Row) -> Entry | None:
        """Return an entry without an id that has these very bytes: they are looked at again, not new."""
        found = self._manifest.nameless.get(row.raw, ())
        place = self._passed.get(row.raw, 0)
        while place < len(found) and id(found[place]) in self._given:
            place += 1
        self._passed[row.raw] = place
        return found[place] if place < len(found) else None

    def _is_free(self, entry: Entry, row: Row) -> bool:
        """Whether no other resource of the bundle has this entry's present id."""
        return not entry.ids or entry.ids[0] == row.id or not self._is_present(entry)

    def _is_present(self, entry: Entry) -> bool:
        """Whether the bundle has a resource with this entry's present id."""
        if not entry.ids:
            return False
        key = (entry.type, entry.ids[0])
        return key in self._rows or key in self._present

    def _by_aliases(self, row: Row, *, fold: bool) -> None:
        for alias in sorted(row.aliases):
            entry = self._manifest.by_id.get((row.type, alias))
            if entry is None or id(entry) in self._given or not self._is_free(entry, row):
                continue
            if row.entry is None:
                self._take(row, entry)
            elif fold:
                self._given.add(id(entry))
                row.folded = (*row.folded, entry)

    def _new(self, row: Row, name: str) -> None:
        identity = name or f"h-{row.raw.hex()}"
        if self._manifest.get(row.type, identity) is not None or (row.type, identity) in self.fresh:
            identity = f"{identity[:47]}-{row.raw.hex()[:16]}"
        # Copies without an id are byte for byte alike: they are counted.
        # What was taken stays so: the next copy goes on where the last one found a place.
        start = (row.type, identity)
        identity, copy = self._reached.get(start, (identity, 1))
        while self._manifest.get(row.type, identity) is not None or (row.type, identity) in self.fresh:
            copy += 1
            identity = f"{identity[:47]}-{copy}"
        if copy > 1:
            self._reached[start] = identity, copy
        self.fresh[row.type, identity] = row
        row.identity = identity


def _name(row: Row) -> tuple[str, str]:
    return row.type, row.id
