"""Which known resource is this one? Metriport's ids change with every conversion, so an id is only the first answer.

In this order: the same content, for types that documents share; the id; an id that was merged into this one; the same
business identifiers, or the same code, date and value, if that is beyond doubt. Each known resource is given out once.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property

from streams.bundles.manifest import Entry, Manifest
from streams.bundles.survey import Row

# Every document brings its own copy of these, with an id of its own: it is the content that says which one it is.
SHARED_TYPES = frozenset({"Medication", "Practitioner", "Organization", "Location"})


class Identities:
    """Gives each row its entry or a new identity; `rows` are by type and id. Shared types first, then the others."""

    def __init__(self, manifest: Manifest, seen: Sequence[Entry], rows: Mapping[object, Row]) -> None:
        self._manifest = manifest
        self._rows = rows
        self._seen = seen
        self._given = set(map(id, seen))
        self.fresh: dict[tuple[str, str], Row] = {}

    @cached_property
    def _present(self) -> set[tuple[str, str]]:
        """The present ids of what was seen: hardly ever asked for."""
        return {(entry.type, entry.ids[0]) for entry in self._seen if entry.ids}

    def give_shared(self, rows: list[Row]) -> None:
        """Give identities to rows of shared types, whose content hash is known."""
        if not rows:
            return
        contents = {(entry.type, entry.content): entry for entry in self._manifest if entry.type in SHARED_TYPES}
        first: dict[tuple[str, bytes], Row] = {}
        # What is known by its content goes first: only what is left is looked for by its id.
        for row in rows:
            entry = contents.get((row.type, row.content)) if row.content else None
            if entry is not None and not self._is_twin(row, first):
                # Its bytes may have been seen, too: then this is one more copy of it.
                row.twin, row.entry, row.identity = id(entry) in self._given, entry, entry.identity
                self._given.add(id(entry))
        for row in rows:
            if not row.identity and not self._is_twin(row, first):
                self._by_id(row)
                if row.entry is None:
                    self._new(row, f"c-{row.content.hex()}" if row.content else "")

    @staticmethod
    def _is_twin(row: Row, first: dict[tuple[str, bytes], Row]) -> bool:
        """Whether an earlier row says the same; if so `row` is that resource."""
        if not row.content:
            return False
        earlier = first.setdefault((row.type, row.content), row)
        if earlier is not row:
            row.twin, row.identity, row.entry = True, earlier.identity, earlier.entry
        return earlier is not row

    def give(self, rows: list[Row], *, fold: bool) -> None:
        """Give identities to all other rows; `fold` lets entries that were merged into one be superseded by it."""
        for row in rows:
            self._by_id(row)
        for row in sorted((row for row in rows if row.aliases), key=_name):
            self._by_aliases(row, fold=fold)
        self._by_match([row for row in rows if row.entry is None])
        for row in rows:
            if row.entry is None:
                self._new(row, row.id)

    def _take(self, row: Row, entry: Entry) -> None:
        self._given.add(id(entry))
        row.entry, row.identity = entry, entry.identity

    def _by_id(self, row: Row) -> None:
        entry = self._manifest.by_id.get((row.type, row.id)) if row.id else None
        if entry is not None and id(entry) not in self._given and self._is_free(entry, row):
            self._take(row, entry)

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

    def _by_match(self, rows: list[Row]) -> None:
        wanted = Counter((row.type, row.match) for row in rows if row.match)
        if not wanted:
            return
        offered: defaultdict[tuple[str, bytes], list[Entry]] = defaultdict(list)
        for entry in self._manifest:
            key = (entry.type, entry.match)
            if key in wanted and id(entry) not in self._given and not self._is_present(entry):
                offered[key].append(entry)
        for row in rows:
            found = offered[row.type, row.match] if row.match else []
            if len(found) == 1 and wanted[row.type, row.match] == 1:
                self._take(row, found[0])

    def _new(self, row: Row, name: str) -> None:
        identity = name or f"h-{row.raw.hex()}"
        if self._manifest.get(row.type, identity) is not None or (row.type, identity) in self.fresh:
            identity = f"{identity[:47]}-{row.raw.hex()[:16]}"
        self.fresh[row.type, identity] = row
        row.identity = identity


def _name(row: Row) -> tuple[str, str]:
    return row.type, row.id
