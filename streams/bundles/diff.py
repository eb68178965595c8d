"""What one snapshot changes: a pure fold of a surveyed, judged bundle into the patient's manifest, as events.

Applying the same snapshot again changes nothing. A snapshot older than the newest of its scope is stale and changes
nothing either. Only a complete snapshot can show that something is gone, and only after a grace.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from streams.bundles.examination import CRASHED, REFUSED
from streams.bundles.manifest import IDS_MAX, Entry, Manifest, Scope
from streams.bundles.survey import Row

Change = Literal["created", "updated", "removed", "superseded", "rejected", "crashed"]


@dataclass(frozen=True, slots=True)
class Grace:
    """How often, and for how long, a resource must be missing before it counts as removed."""

    absences_min: int = 2
    absence_ms_min: int = 7 * 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Source:
    """Which snapshot this is: its scope, whether it holds all there is in that scope, and whether it may wait."""

    snapshot_id: str
    when_ms: int
    scope: str
    complete: bool
    replaces: bool
    sha256: str = ""


class Event(msgspec.Struct, frozen=True, gc=False):
    """One change of one resource. `row` says where its bytes are; `successor` what it was folded into."""

    change: Change
    type: str
    identity: str
    id: str
    version: int
    content: bytes = b""
    row: Row | None = None
    successor: str = ""


@dataclass(slots=True)
class Counts:
    """How many resources of the snapshot are what; `missing` counts those the scope has and the snapshot has not."""

    accepted: int = 0
    rejected: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    missing: int = 0
    removed: int = 0
    superseded: int = 0


@dataclass(slots=True)
class Difference:
    """Everything that a snapshot changes, in an order that depends on the snapshot and the manifest alone."""

    events: list[Event] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)


def is_stale(manifest: Manifest, source: Source) -> bool:
    """Whether a newer snapshot of the same scope was applied before."""
    known = next((scope for scope in manifest.head.scopes if scope.name == source.scope), None)
    return known is not None and source.when_ms < known.when_ms


def apply(
    manifest: Manifest, seen: Iterable[tuple[Entry, bytes]], rows: Iterable[Row], source: Source, grace: Grace
) -> Difference:
    """Fold a judged bundle into `manifest`, which is changed, and return the difference."""
    return _Fold(manifest, source, grace).fold(seen, rows)


def repeat(manifest: Manifest, source: Source, grace: Grace) -> Difference | None:
    """Fold the very bytes that the newest snapshot of the scope had, without reading them; None if they are others."""
    known = next((scope for scope in manifest.head.scopes if scope.name == source.scope), None)
    if known is None or not source.sha256 or source.sha256 != known.sha256 or source.complete != _is_complete(known):
        return None
    number, accepted, rejected = manifest.scope(source.scope), known.accepted, known.rejected
    present = (entry for entry in manifest if number in entry.scopes and not entry.missing)
    difference = _Fold(manifest, source, grace).fold((), (), present=present)
    # Copies of one resource within the bundle are counted, too, and no longer known one by one.
    known.accepted = difference.counts.accepted = difference.counts.unchanged = accepted
    known.rejected = difference.counts.rejected = rejected
    return difference


def _is_complete(scope: Scope) -> bool:
    return scope.when_ms == scope.complete_when_ms


class _Fold:
    def __init__(self, manifest: Manifest, source: Source, grace: Grace) -> None:
        self._manifest = manifest
        self._source = source
        self._grace = grace
        self._number = manifest.scope(source.scope)
        self._present: set[int] = set()
        self._difference = Difference()
        self._counts = self._difference.counts
        self._tell = self._difference.events.append

    def fold(
        self, seen: Iterable[tuple[Entry, bytes]], rows: Iterable[Row], *, present: Iterable[Entry] = ()
    ) -> Difference:
        """Fold in the resources whose bytes are known, and the others; `present` are there, too, as they are known."""
        self._present.update(map(id, present))
        for entry, digest in seen:
            self._see(entry, digest)
        for row in rows:
            self._take(row)
        if self._source.complete:
            self._end_absent()
        scope = self._manifest.head.scopes[self._number]
        scope.when_ms, scope.sha256 = max(scope.when_ms, self._source.when_ms), self._source.sha256
        if self._source.complete:
            scope.complete_when_ms = max(scope.complete_when_ms, self._source.when_ms)
        scope.accepted, scope.rejected = self._counts.accepted, self._counts.rejected
        return self._difference

    def _see(self, entry: Entry, digest: bytes) -> None:
        """Count a resource whose bytes are known: there is nothing to say about it."""
        if digest == entry.rejected:
            self._counts.rejected += 1
        else:
            self._counts.accepted += 1
            self._counts.unchanged += 1
        if entry.missing or self._number not in entry.scopes:
            self._keep(entry, changed=False)
        else:
            self._present.add(id(entry))

    def _take(self, row: Row) -> None:
        if row.finding in REFUSED:
            self._refuse(row)
            return
        self._counts.accepted += 1
        entry = row.entry or self._manifest.get(row.type, row.identity)
        if row.twin and entry is not None and entry.published:
            self._counts.unchanged += 1
            entry.ids = tuple(dict.fromkeys([*entry.ids, row.id] if row.id else entry.ids))[:IDS_MAX]
        else:
            entry = entry or Entry(row.type, row.identity, (), b"")
            self._renew(entry, row)
            entry.add_ids((row.id, *row.aliases) if row.id else row.aliases)
        self._keep(entry, changed=True)
        for folded in row.folded:
            self._supersede(folded, entry)

    def _renew(self, entry: Entry, row: Row) -> None:
        """Give `entry` the content of `row`, unless that is what it has, or an older one."""
        if entry.published and self._is_older(entry):
            self._counts.unchanged += 1
            return
        same = entry.published and (entry.content == row.content or entry.raw == row.raw)
        entry.raw, entry.content, entry.rejected = row.raw, row.content, b""
        _learn(entry, row)
        if same:
            self._counts.unchanged += 1
            return
        change: Change = "updated" if entry.published else "created"
        self._counts.updated += change == "updated"
        self._counts.created += change == "created"
        entry.when_ms = self._source.when_ms
        entry.version += 1
        self._tell(Event(change, entry.type, entry.identity, row.id, entry.version, row.content, row))

    def _refuse(self, row: Row) -> None:
        """Keep what was accepted before, and remember the bytes, so that they are refused once only."""
        self._counts.rejected += 1
        entry = row.entry or self._manifest.get(row.type, row.identity) or Entry(row.type, row.identity, (), b"")
        entry.rejected = row.raw
        if not entry.version:
            _learn(entry, row)
        entry.add_ids([row.id] if row.id else [])
        self._keep(entry, changed=True)
        change: Change = "crashed" if row.finding == CRASHED else "rejected"
        self._tell(Event(change, row.type, row.identity, row.id, entry.version, row=row))

    def _supersede(self, folded: Entry, into: Entry) -> None:
        self._manifest.remove(folded)
        into.ids = tuple(dict.fromkeys([*into.ids, *folded.ids]))[:IDS_MAX]
        into.scopes = tuple(sorted({*into.scopes, *folded.scopes}))
        self._manifest.put(into)
        if folded.published:
            self._counts.superseded += 1
            own = folded.ids[0] if folded.ids else ""
            self._tell(Event("superseded", folded.type, folded.identity, own, folded.version, successor=into.identity))

    def _keep(self, entry: Entry, *, changed: bool) -> None:
        """Note that the scope has `entry`; write it back only if that says anything new."""
        self._present.add(id(entry))
        if self._number not in entry.scopes:
            entry.scopes = tuple(sorted([*entry.scopes, self._number]))
            changed = True
        if entry.missing:
            entry.missing = entry.missing_since_ms = entry.missing_when_ms = 0
            changed = True
        if changed:
            self._manifest.put(entry)

    def _end_absent(self) -> None:
        """Drop what ends because the scope has it and this complete snapshot has not, by identity."""
        absent = [entry for entry in self._manifest if self._number in entry.scopes and id(entry) not in self._present]
        for entry in sorted(absent, key=_identity):
            if self._is_over(entry):
                self._drop(entry)
            else:
                self._counts.missing += 1

    def _is_over(self, entry: Entry) -> bool:
        """Whether the grace is over. Counts this absence, unless this very snapshot was counted before."""
        if self._source.replaces:
            return True
        if self._source.when_ms > entry.missing_when_ms:
            entry.missing += 1
            entry.missing_since_ms = entry.missing_since_ms or self._source.when_ms
            entry.missing_when_ms = self._source.when_ms
            self._manifest.put(entry)
        absence_ms = self._source.when_ms - entry.missing_since_ms
        return entry.missing >= self._grace.absences_min and absence_ms >= self._grace.absence_ms_min

    def _drop(self, entry: Entry) -> None:
        published = entry.published
        entry.scopes = tuple(number for number in entry.scopes if number != self._number)
        entry.missing = entry.missing_since_ms = entry.missing_when_ms = 0
        if not entry.scopes:
            entry.raw = entry.rejected = b""  # should these bytes come back, they are new
        self._manifest.put(entry)
        if published and not entry.scopes:
            self._counts.removed += 1
            own = entry.ids[0] if entry.ids else ""
            self._tell(Event("removed", entry.type, entry.identity, own, entry.version, entry.content))

    def _is_older(self, entry: Entry) -> bool:
        """Whether a newer snapshot, of whatever scope, said what `entry` says."""
        confirmed_ms = entry.when_ms
        if not entry.missing:
            scopes = (self._manifest.head.scopes[number] for number in entry.scopes if number != self._number)
            confirmed_ms = max([confirmed_ms, *(scope.complete_when_ms for scope in scopes)])
        return self._source.when_ms < confirmed_ms


def _learn(entry: Entry, row: Row) -> None:
    """Note what `entry` can be recognised by from now on."""
    entry.learn(text=row.text, facets=row.facets, names=row.names, links=row.links)


def _identity(entry: Entry) -> tuple[str, str]:
    return entry.type, entry.identity
