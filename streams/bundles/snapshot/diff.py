"""Fold a scanned, validated, matched bundle into the patient's manifest, and return what that changes, as events. Pure.

Applying the same snapshot again changes nothing. A complete snapshot older than the newest complete one of its scope is
stale as a whole. For all others, and for each resource, the newer one wins. Only a complete snapshot can show that
something is gone, only after a grace, and only so much of it at once as the brake lets pass.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from streams.bundles.snapshot import brake as brakes
from streams.bundles.snapshot import holds
from streams.bundles.snapshot.brake import Brake
from streams.bundles.snapshot.manifest import Absence, Entry, Manifest, packed_place
from streams.bundles.snapshot.resources import Resource
from streams.bundles.validation.chunk import CRASHED, REFUSED

CONSOLIDATED = "consolidated"
_BLOBS_MANY = 64  # after so many it is looked up which of them nothing refers to any more

Change = Literal["created", "updated", "removed", "superseded", "rejected", "crashed"]


@dataclass(frozen=True, slots=True)
class Grace:
    """How often, and for how long, a resource must be missing before it counts as removed."""

    absences_min: int = 2
    absence_ms_min: int = 7 * 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Rules:
    """When what is missing counts as removed, and when a person is asked first."""

    grace: Grace = field(default_factory=Grace)
    brake: Brake = field(default_factory=Brake)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which snapshot this is: when Metriport made it, when it was received, and the hash and place of its bytes.

    `when_ms` is Metriport's time, `at_ms` that of receipt; a time after `latest_ms` is not believed, whoever told it.
    """

    id: str
    when_ms: int
    at_ms: int
    latest_ms: int
    sha256: str = ""
    blob: str = ""

    def believed(self, when_ms: int) -> int:
        """Return a time that is known from before, or 0 if that cannot have been."""
        return when_ms if when_ms <= self.latest_ms else 0


class Coverage(NamedTuple):
    """What a snapshot is about: the consolidated record, one encounter, or notifications.

    `complete`: it lists everything in `scope`, so what it lacks counts as missing.
    """

    scope: str
    complete: bool

    @property
    def partial(self) -> bool:
        """Whether it is a part of the consolidated record."""
        return not self.complete and self.scope == CONSOLIDATED


class Event(msgspec.Struct, frozen=True, gc=False):
    """One change of one resource. `resource` says where its bytes are; `successor` what it was folded into.

    `sequence` is the number of the change, 0 of a refusal; `previous_version` and `previous_content` are what was in
    the state before, `last` is where the bytes of what is gone are.
    """

    change: Change
    type: str
    identity: str
    id: str
    version: int
    content: bytes = b""
    resource: Resource | None = None
    successor: str = ""
    sequence: int = 0
    previous_version: int = 0
    previous_content: bytes = b""
    last: tuple[str, int, int] | None = None


class Alias(NamedTuple):
    """An id under which a resource was seen, and its identity; none if it is that of another one now."""

    type: str
    id: str
    identity: str


@dataclass(slots=True)
class Counts:
    """Resource counts of one snapshot, by result.

    `missing` counts resources of the scope that the snapshot lacks, `held` those that are gone once a person says so.
    """

    accepted: int = 0
    rejected: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    missing: int = 0
    removed: int = 0
    superseded: int = 0
    held: int = 0


@dataclass(slots=True)
class Difference:
    """Everything that a snapshot changes, in an order that depends on the snapshot and the manifest alone.

    `missing` are the entries counted as that, `held` those whose removal this snapshot holds. `holds_changed` says
    whether there is more or less of what waits for a person than before.
    """

    events: list[Event] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    missing: list[Entry] = field(default_factory=list)
    held: list[Entry] = field(default_factory=list)
    holds_changed: bool = False
    aliases: list[Alias] = field(default_factory=list)


def is_stale(manifest: Manifest, snapshot: Snapshot, coverage: Coverage) -> bool:
    """Whether this is a complete snapshot, and a newer complete one of the same scope was applied before."""
    known = next((scope for scope in manifest.head.scopes if scope.name == coverage.scope), None)
    return coverage.complete and known is not None and snapshot.when_ms < snapshot.believed(known.when_ms)


def apply(
    manifest: Manifest,
    seen: Iterable[tuple[Entry, bytes]],
    resources: Sequence[Resource],
    snapshot: Snapshot,
    coverage: Coverage,
    *,
    rules: Rules,
) -> Difference:
    """Fold a bundle into `manifest`, which is changed, and return the difference."""
    return _Fold(manifest, snapshot, coverage, rules).fold(seen, resources)


def repeat(manifest: Manifest, snapshot: Snapshot, coverage: Coverage, rules: Rules) -> Difference | None:
    """Fold the very bytes that the newest snapshot of the kind had, without reading them; None if they are others."""
    number = manifest.scope(coverage.scope)
    known = manifest.head.partial if coverage.partial else manifest.head.scopes[number]
    if not (coverage.complete or coverage.partial) or not snapshot.sha256 or snapshot.sha256 != known.sha256:
        return None
    # Copies of one resource within the bundle are counted, too, and no longer known one by one.
    counts = Counts(accepted=known.accepted, unchanged=known.accepted, rejected=known.rejected)
    fold = _Fold(manifest, snapshot, coverage, rules, counts).fold
    if coverage.partial:
        return fold((), (), present=[entry for entry in manifest if entry.partial])
    # All others of the scope are there, as they are known.
    missing = [entry for entry in manifest if entry.absences and number in entry.scopes and entry.is_missing(number)]
    return fold((), (), absent=missing)


def decide(manifest: Manifest, snapshot_id: str, resource_type: str | None, *, remove: bool) -> Difference:
    """Fold in what a person decided about what a snapshot would have removed: `remove` it, or it is not missing."""
    return _Decision(manifest).fold(snapshot_id, resource_type, remove=remove)


class _Writing:
    """What every fold does with entries that end."""

    def __init__(self, manifest: Manifest, counts: Counts | None = None) -> None:
        self._manifest = manifest
        self._difference = Difference(counts=counts or Counts())
        self._counts = self._difference.counts
        self._tell = self._difference.events.append
        self._holds = holds.counts(manifest)

    def _drop(self, entry: Entry, scope: int) -> None:
        """Note that a scope has `entry` no longer; if none has, it ends."""
        published, last = entry.published, self._last(entry)
        entry.scopes = tuple(number for number in entry.scopes if number != scope)
        entry.set_absence(scope, None)
        self._manifest.put(entry)
        if entry.scopes:
            return
        self._end(entry)
        if published:
            self._counts.removed += 1
            self._tell_end("removed", entry, last)

    def _tell_end(self, change: Change, entry: Entry, last: tuple[str, int, int] | None, successor: str = "") -> None:
        own = entry.ids[0] if entry.ids else ""
        known = entry.version, entry.content
        self._tell(
            Event(change, entry.type, entry.identity, own, *known, None, successor, self._numbered(), *known, last)
        )

    def _numbered(self) -> int:
        self._manifest.head.sequence += 1
        return self._manifest.head.sequence

    def _last(self, entry: Entry) -> tuple[str, int, int] | None:
        """Return where the published bytes of an entry are."""
        place = entry.placed
        return (self._manifest.head.blobs[place.blob], place.start, place.end) if place is not None else None

    def _end(self, entry: Entry) -> None:
        """Take an entry out of the state: should these bytes come back, they are new."""
        self._publish(entry, published=False)
        entry.partial, entry.scopes, entry.absences = False, (), ()
        entry.raw = entry.rejected = entry.place = b""
        self._manifest.put(entry)

    def _publish(self, entry: Entry, *, published: bool) -> None:
        state = self._manifest.head.state
        state[entry.type] = state.get(entry.type, 0) + published - entry.published
        entry.published = published


class _Decision(_Writing):
    def fold(self, snapshot_id: str, resource_type: str | None, *, remove: bool) -> Difference:
        """Fold in one decision; what is held under the snapshot no longer, it does not touch."""
        numbers = {number for number, held in self._manifest.head.holds.items() if held == snapshot_id}
        chosen = [
            (entry, absence.scope)
            for entry in sorted(self._manifest, key=_identity)
            for absence in entry.absences
            if absence.hold in numbers and resource_type in {None, entry.type}
        ]
        for entry, scope in chosen:
            if remove:
                self._drop(entry, scope)
            else:
                entry.set_absence(scope, None)
                self._manifest.put(entry)
        self._difference.holds_changed = holds.settle(self._manifest, self._holds)
        if self._manifest.is_changed:
            for each in (*self._manifest.head.scopes, self._manifest.head.partial):
                each.sha256 = ""
        return self._difference


class _Fold(_Writing):
    def __init__(
        self, manifest: Manifest, snapshot: Snapshot, coverage: Coverage, rules: Rules, counts: Counts | None = None
    ) -> None:
        super().__init__(manifest, counts)
        self._snapshot = snapshot
        self._coverage = coverage
        self._rules = rules
        self._number = manifest.scope(coverage.scope)
        self._scope = manifest.head.scopes[self._number]
        self._partial_ms = snapshot.believed(manifest.head.partial.when_ms)
        self._whens = [snapshot.believed(scope.when_ms) for scope in manifest.head.scopes]
        # What a newer complete snapshot did not have is not brought back.
        self._is_late = snapshot.when_ms < self._whens[self._number]
        self._may_fold = True
        self._blob_number = 0
        self._present: set[int] = set()

    def fold(
        self,
        seen: Iterable[tuple[Entry, bytes]],
        resources: Sequence[Resource],
        *,
        present: Iterable[Entry] = (),
        absent: list[Entry] | None = None,
    ) -> Difference:
        """Fold in the resources whose bytes are known, and the others; `present` are there, too, as they are known.

        `absent` are all that the scope has and the snapshot has not, if that is known.
        """
        self._present.update(map(id, present))
        self._may_fold = self._is_little(resources)
        complete, number, unchanged = self._coverage.complete, self._number, 0
        for entry, digest in seen:
            if complete and not entry.rejected and not entry.absences and number in entry.scopes:
                # Nearly all: as they were, and nothing else is known of them.
                self._present.add(id(entry))
                unchanged += 1
            else:
                self._see(entry, digest)
        self._counts.accepted += unchanged
        self._counts.unchanged += unchanged
        for resource in resources:
            self._take(resource)
        self._rules.brake.note_set(self._scope, self._counts.accepted, self._snapshot.at_ms)
        if self._coverage.complete:
            if absent is None:
                number, here = self._number, self._present
                absent = [entry for entry in self._manifest if number in entry.scopes and id(entry) not in here]
            self._end_absent(absent)
        if self._coverage.partial:
            self._replace_partial()
        self._note_snapshot()
        return self._difference

    # --- what the snapshot has -------------------------------------------------------------------------------------

    def _see(self, entry: Entry, digest: bytes) -> None:
        """Count a resource whose bytes are known: there is nothing to say about it."""
        refused = digest == entry.rejected
        if refused:
            self._counts.rejected += 1
        else:
            self._counts.accepted += 1
            self._counts.unchanged += 1
        self._keep(entry, changed=False, confirmed=not refused)

    def _take(self, resource: Resource) -> None:
        if resource.status in REFUSED:
            self._refuse(resource)
            return
        self._counts.accepted += 1
        entry = resource.entry or self._manifest.get(resource.type, resource.identity)
        # A newer snapshot, of whatever scope, said what the entry says.
        is_older = entry is not None and self._snapshot.when_ms < self._content_ms(entry)
        if entry is not None and entry.published and (resource.twin or is_older):
            self._counts.unchanged += 1
            self._name(entry, (resource.id,))
            entry.add_older_ids([resource.id] if resource.id else [])
            self._keep(entry, changed=True, confirmed=resource.twin)
        elif self._is_gone(entry):
            self._counts.unchanged += 1
            return
        else:
            entry = entry or Entry(resource.type, resource.identity, (), b"")
            ids = (resource.id, *resource.aliases) if resource.id else resource.aliases
            known = entry.ids[: len(ids)] == ids
            if not known:
                self._name(entry, ids)
            self._renew(entry, resource)
            if not known:
                entry.add_ids(ids)
            self._keep(entry, changed=True, confirmed=True)
        if self._may_fold:
            for folded in resource.folded:
                self._supersede(folded, entry)

    def _name(self, entry: Entry, ids: tuple[str, ...]) -> None:
        """Tell of ids that are not known to be this entry's."""
        for known in ids:
            if known and known not in entry.ids:
                before = self._manifest.by_id.get((entry.type, known))
                if known != entry.identity:
                    self._difference.aliases.append(Alias(entry.type, known, entry.identity))
                elif before is not None and before is not entry:
                    self._difference.aliases.append(Alias(entry.type, known, ""))

    def _renew(self, entry: Entry, resource: Resource) -> None:
        """Give `entry` the content of `resource`, unless that is what it has."""
        published = entry.published
        same = published and (entry.content == resource.content or entry.raw == resource.raw)
        previous = (entry.version, entry.content) if published else (0, b"")
        entry.raw, entry.content, entry.rejected = resource.raw, resource.content, b""
        entry.learn(resource.text, resource.facets, resource.names, resource.links)
        if same:
            self._counts.unchanged += 1
            return
        if published:
            self._counts.updated += 1
        else:
            self._counts.created += 1
            self._publish(entry, published=True)
        change: Change = "updated" if published else "created"
        entry.when_ms = self._snapshot.when_ms
        entry.version += 1
        entry.place = packed_place(self._blob_number or self._blob(), resource.start, resource.end)
        known = entry.version, resource.content, resource
        self._tell(Event(change, entry.type, entry.identity, resource.id, *known, "", self._numbered(), *previous))

    def _blob(self) -> int:
        """Return the number of this snapshot's blob, a new one."""
        self._blob_number = max(self._manifest.head.blobs, default=0) + 1
        self._manifest.head.blobs[self._blob_number] = self._snapshot.blob
        return self._blob_number

    def _refuse(self, resource: Resource) -> None:
        """Keep what was accepted before, and remember the bytes, so that they are refused once only."""
        self._counts.rejected += 1
        entry = resource.entry or self._manifest.get(resource.type, resource.identity)
        entry = entry or Entry(resource.type, resource.identity, (), b"")
        # From now on its being there does not confirm what was accepted.
        entry.confirmed_ms = self._content_ms(entry)
        entry.rejected = resource.raw
        if not entry.version:
            entry.learn(resource.text, resource.facets, resource.names, resource.links)
        if entry.version:
            self._name(entry, (resource.id,))
        entry.add_ids([resource.id] if resource.id else [])
        self._keep(entry, changed=True, confirmed=False)
        change: Change = "crashed" if resource.status == CRASHED else "rejected"
        self._tell(Event(change, resource.type, resource.identity, resource.id, entry.version, resource=resource))

    def _is_little(self, resources: Sequence[Resource]) -> bool:
        """Whether what is folded into others is no more than may vanish without a person; if not, it is missing."""
        count = sum(folded.published for resource in resources for folded in resource.folded)
        if not count:
            return True
        self._rules.brake.note_set(self._scope, len(resources), self._snapshot.at_ms)
        if self._rules.brake.is_too_much(self._scope, count, self._snapshot.at_ms):
            return False
        self._rules.brake.note_removed(self._scope, count, self._snapshot.at_ms)
        return True

    def _supersede(self, folded: Entry, into: Entry) -> None:
        """Fold an entry into another. It stays, nameless, so that its version goes on should it come back."""
        if self._seen_ms(folded) > self._snapshot.when_ms:
            return
        names = dict.fromkeys([folded.identity, *folded.ids])
        self._difference.aliases += [Alias(into.type, name, into.identity) for name in names if name != into.identity]
        into.add_older_ids(folded.ids)
        into.scopes = tuple(sorted({*into.scopes, *folded.scopes}))
        self._manifest.put(into)
        if folded.published:
            self._counts.superseded += 1
            self._tell_end("superseded", folded, self._last(folded), into.identity)
        self._end(folded)
        folded.ids = ()
        folded.content = folded.known_by = b""

    def _keep(self, entry: Entry, *, changed: bool, confirmed: bool) -> None:
        """Note that the scope has `entry`, and says what it says, if so; write it back only if that is anything new."""
        self._present.add(id(entry))
        if self._number not in entry.scopes and not self._is_late:
            entry.scopes = tuple(sorted([*entry.scopes, self._number]))
            changed = True
        if entry.absences and (absence := entry.absence(self._number)) is not None:
            changed |= self._refute(entry, absence)
        if self._coverage.partial and self._snapshot.when_ms >= self._partial_ms:
            if not entry.partial:
                entry.partial = changed = True
        elif confirmed and not self._coverage.complete and self._snapshot.when_ms > self._content_ms(entry):
            entry.confirmed_ms = self._snapshot.when_ms
            changed = True
        if confirmed and entry.rejected and self._snapshot.when_ms > entry.confirmed_ms:
            entry.confirmed_ms = self._snapshot.when_ms
            changed = True
        if changed:
            self._manifest.put(entry)

    def _refute(self, entry: Entry, absence: Absence) -> bool:
        """Take back what absences said up to this snapshot; return whether that changed anything."""
        when_ms = self._snapshot.when_ms
        if when_ms >= self._snapshot.believed(absence.when_ms):
            entry.set_absence(self._number, None)
            return True
        if when_ms < self._snapshot.believed(absence.since_ms):
            return False
        entry.set_absence(self._number, Absence(self._number, 1, absence.when_ms, absence.when_ms))
        return True

    def _is_gone(self, entry: Entry | None) -> bool:
        """Whether a newer complete snapshot of the scope did not have what this one would bring."""
        if not self._is_late or (entry is not None and entry.published):
            return False
        return entry is None or self._number not in entry.scopes or entry.is_missing(self._number)

    # --- which of two is newer -------------------------------------------------------------------------------------

    def _content_ms(self, entry: Entry) -> int:
        """Return the time of the newest snapshot that said what `entry` says."""
        told_ms = max(self._snapshot.believed(entry.when_ms), self._snapshot.believed(entry.confirmed_ms))
        if entry.rejected:
            return told_ms
        whens = (self._whens[number] for number in entry.scopes if not entry.is_missing(number))
        return max(told_ms, self._partial_ms if entry.partial else 0, *whens)

    def _seen_ms(self, entry: Entry) -> int:
        """Return the time of the newest snapshot, the complete ones aside, that had `entry`."""
        believed = self._snapshot.believed
        return max(believed(entry.when_ms), believed(entry.confirmed_ms), self._partial_ms if entry.partial else 0)

    # --- what the snapshot has not ---------------------------------------------------------------------------------

    def _end_absent(self, absent: list[Entry]) -> None:
        """Drop what ends because it is absent, by identity."""
        is_new = not self._snapshot.sha256 or self._snapshot.sha256 != self._scope.absence_sha256
        over = []
        for entry in sorted(absent, key=_identity):
            if self._seen_ms(entry) > self._snapshot.when_ms:
                continue
            if self._is_over(entry, is_new=is_new):
                over.append(entry)
            else:
                self._counts.missing += 1
                self._difference.missing.append(entry)
        going = [entry for entry in over if entry.published and len(entry.scopes) == 1]
        fresh = [entry for entry in going if not self._is_held(entry)]
        brake, at_ms = self._rules.brake, self._snapshot.at_ms
        if fresh and (brake.is_too_much(self._scope, len(going), at_ms) or brakes.is_whole(self._manifest, going)):
            self._hold(fresh)
        elif fresh:
            brake.note_removed(self._scope, len(fresh), at_ms)
        kept = {id(entry) for entry in going if self._is_held(entry)}
        self._counts.held = len(kept)
        for entry in over:
            if id(entry) not in kept:
                self._drop(entry, self._number)

    def _is_held(self, entry: Entry) -> bool:
        """Whether its removal waits for a person, who decides; or else the resource must be there again."""
        absence = entry.absence(self._number)
        return absence is not None and absence.hold > 0

    def _is_over(self, entry: Entry, *, is_new: bool) -> bool:
        """Whether the grace is over. Counts this absence if it `is_new`: the same bytes are one absence."""
        when_ms = self._snapshot.when_ms
        known = entry.absence(self._number)
        if known is None:
            known = Absence(self._number, 1, when_ms, when_ms)
            entry.set_absence(self._number, known)
            self._manifest.put(entry)
        elif is_new and when_ms > self._snapshot.believed(known.when_ms):
            since_ms = self._snapshot.believed(known.since_ms) or when_ms
            known = Absence(self._number, known.times + 1, since_ms, when_ms, known.hold)
            entry.set_absence(self._number, known)
            self._manifest.put(entry)
        grace = self._rules.grace
        return known.times >= grace.absences_min and when_ms - known.since_ms >= grace.absence_ms_min

    def _hold(self, going: list[Entry]) -> None:
        """Let a person decide."""
        known = self._manifest.head.holds
        number = max(known, default=0) + 1
        known[number] = self._snapshot.id
        for entry in going:
            absence = entry.absence(self._number)
            assert absence is not None, "it is missing"
            entry.set_absence(self._number, absence._replace(hold=number))
            self._manifest.put(entry)
        self._difference.held = going

    # --- what is noted of the snapshot -----------------------------------------------------------------------------

    def _replace_partial(self) -> None:
        """Note that the newest partial snapshot of the consolidated record is this one."""
        if self._snapshot.when_ms < self._partial_ms:
            return
        for entry in self._manifest:
            if entry.partial and id(entry) not in self._present:
                entry.partial = False
                entry.confirmed_ms = max(entry.confirmed_ms, 0 if entry.rejected else self._partial_ms)
                self._manifest.put(entry)

    def _note_snapshot(self) -> None:
        snapshot, coverage, head, known = self._snapshot, self._coverage, self._manifest.head, self._scope
        self._difference.holds_changed = holds.settle(self._manifest, self._holds)
        if self._blob_number and not self._blob_number % _BLOBS_MANY:
            used = {place.blob for entry in self._manifest if (place := entry.placed) is not None}
            head.blobs = {number: blob for number, blob in head.blobs.items() if number in used}
        if self._manifest.is_changed:
            for scope in (*head.scopes, head.partial):
                scope.sha256 = ""
        if coverage.partial:
            if snapshot.when_ms < self._partial_ms:
                return
            known = head.partial
        elif coverage.complete:
            known.absence_sha256 = snapshot.sha256
        if coverage.complete or coverage.partial:
            known.when_ms, known.sha256 = snapshot.when_ms, snapshot.sha256
            known.accepted, known.rejected = self._counts.accepted, self._counts.rejected


def _identity(entry: Entry) -> tuple[str, str]:
    return entry.type, entry.identity
