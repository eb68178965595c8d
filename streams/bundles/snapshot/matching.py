"""Find out which known resource each resource of a bundle is.

Metriport's ids change with every conversion, so an id is only the first answer. In this order: the id, or one that was
merged into it; the same content, with what is referred to; what the type's sameness rests on (`evidence`). What is
referred to comes first: then "the same content" means the same targets, too. Equal contents pair off in order. In
doubt, two resources are two facts.

Each known resource is given out once, except those of types that documents share: every document brings its own copy of
them, so there the content comes before the id, and what says the same is the same one.
"""

from collections.abc import Sequence
from functools import cached_property

from models import tuning
from streams.bundles.snapshot.layers import Layers
from streams.bundles.snapshot.manifest import Entry, Manifest
from streams.bundles.snapshot.references import Resolver
from streams.bundles.snapshot.resources import Resource
from streams.bundles.snapshot.scan import Candidate
from streams.bundles.snapshot.similar import SimilarEntries
from streams.bundles.validation.chunk import REFUSED, Validated

SHARED_TYPES = frozenset({"Medication", "Practitioner", "Organization", "Location"})


def match(
    manifest: Manifest,
    seen: Sequence[Entry],
    candidates: Sequence[Candidate],
    results: Sequence[Validated],
    *,
    fold: bool,
) -> list[Resource]:
    """Return the candidates with their results, each with its entry or a new identity.

    `seen` are the entries whose bytes the bundle has. With `fold`, entries that were merged into one are superseded.
    """
    resources = [
        Resource(
            candidate.start,
            candidate.end,
            candidate.raw,
            candidate.type,
            candidate.id,
            candidate.aliases,
            result.status,
            result.validation,
            result.text,
            result.facets,
            result.names,
            result.references,
            result.outcome,
        )
        for candidate, result in zip(candidates, results, strict=True)
    ]
    resolver = Resolver(manifest, resources)
    matching = _Matching(manifest, seen, resources, resolver)
    matching.match(fold=fold)
    tuning.free_one_by_one(resolver.by_id, matching.fresh)
    return resources


class _Matching:
    def __init__(
        self, manifest: Manifest, seen: Sequence[Entry], resources: Sequence[Resource], resolver: Resolver
    ) -> None:
        self._manifest = manifest
        self._resources = resources
        self._seen = seen
        self._resolver = resolver
        self._given = set(map(id, seen))
        self._first: dict[tuple[str, bytes], Resource] = {}
        self._reached: dict[tuple[str, str], tuple[str, int]] = {}
        self._passed: dict[bytes, int] = {}
        self.fresh: dict[tuple[str, str], Resource] = {}

    def match(self, *, fold: bool) -> None:
        single = [resource for resource in self._resources if resource.type not in SHARED_TYPES]
        for resource in single:
            self._by_id(resource)
        for resource in sorted((resource for resource in single if resource.aliases), key=_name):
            self._by_aliases(resource, fold=fold)
        if unknown := [resource for resource in self._resources if not resource.identity]:
            self._by_words(unknown)
        for resource in self._resources:
            resource.content, resource.links = self._resolver.linked(resource)
            if resource.status in REFUSED:
                resource.content = b""

    def _by_words(self, unknown: list[Resource]) -> None:
        """Give identities by what the resources say, in layers: what is referred to first."""
        similar = SimilarEntries(self._manifest, unknown, self._is_offered, self._resources, self._resolver)
        waiting = []
        for resource in unknown:
            if resource.type in SHARED_TYPES or resource.type in similar.types:
                waiting.append(resource)
            else:
                self._new(resource, resource.id)
        layers = Layers(waiting, self._resolver)
        while layer := layers.ready():
            self._settle(layer, similar)
            layers.matched(layer)
            while layers.is_stuck and (pairs := similar.in_circles(layers.waiting)):
                for resource, entry in pairs:
                    self._take(resource, entry)
                layers.matched([resource for resource, _ in pairs])

    def _is_offered(self, entry: Entry) -> bool:
        """Whether `entry` may still be given to a resource under another id."""
        return entry.type in SHARED_TYPES or (id(entry) not in self._given and not self._is_present(entry))

    def _settle(self, layer: list[Resource], similar: SimilarEntries) -> None:
        """Give identities to resources all of whose targets have theirs."""
        rest, twins = [], []
        for resource in layer:
            resource.content, resource.links = self._resolver.linked(resource)
            if resource.type in SHARED_TYPES and (earlier := self._earlier(resource)) is not None:
                twins.append((resource, earlier))
                continue
            entry = similar.same(resource) or similar.same_but_for_lost(resource)
            if entry is None:
                rest.append(resource)
            else:
                # Its bytes may have been seen, too: then this is one more copy of it.
                resource.twin = id(entry) in self._given
                self._take(resource, entry)
        for resource in rest:
            if resource.type in SHARED_TYPES:
                self._by_id(resource)
            if (
                resource.entry is None
                and (entry := similar.evident(resource)) is not None
                and id(entry) not in self._given
            ):
                self._take(resource, entry)
            if resource.entry is None:
                shared = resource.type in SHARED_TYPES and resource.status not in REFUSED
                self._new(resource, f"c-{resource.content.hex()}" if shared else resource.id)
        # Only now has each of the earlier ones its identity.
        for resource, earlier in twins:
            resource.twin, resource.identity, resource.entry = True, earlier.identity, earlier.entry

    def _earlier(self, resource: Resource) -> Resource | None:
        """Return an earlier one that says the same: `resource` is that resource."""
        if resource.status in REFUSED:
            return None
        earlier = self._first.setdefault((resource.type, resource.content), resource)
        return earlier if earlier is not resource else None

    @cached_property
    def _present(self) -> set[tuple[str, str]]:
        """The present ids of what was seen: hardly ever asked for."""
        return {(entry.type, entry.ids[0]) for entry in self._seen if entry.ids}

    def _take(self, resource: Resource, entry: Entry) -> None:
        self._given.add(id(entry))
        resource.entry, resource.identity = entry, entry.identity

    def _by_id(self, resource: Resource) -> None:
        entry = self._manifest.by_id.get((resource.type, resource.id)) if resource.id else self._by_bytes(resource)
        if entry is not None and id(entry) not in self._given and self._is_free(entry, resource):
            self._take(resource, entry)

    def _by_bytes(self, resource: Resource) -> Entry | None:
        """Return an entry without an id that has these very bytes: they are looked at again, not new."""
        found = self._manifest.nameless.get(resource.raw, ())
        place = self._passed.get(resource.raw, 0)
        while place < len(found) and id(found[place]) in self._given:
            place += 1
        self._passed[resource.raw] = place
        return found[place] if place < len(found) else None

    def _is_free(self, entry: Entry, resource: Resource) -> bool:
        """Whether no other resource of the bundle has this entry's present id."""
        return not entry.ids or entry.ids[0] == resource.id or not self._is_present(entry)

    def _is_present(self, entry: Entry) -> bool:
        """Whether the bundle has a resource with this entry's present id."""
        if not entry.ids:
            return False
        key = (entry.type, entry.ids[0])
        return key in self._resolver.by_id or key in self._present

    def _by_aliases(self, resource: Resource, *, fold: bool) -> None:
        for alias in sorted(resource.aliases):
            entry = self._manifest.by_id.get((resource.type, alias))
            if entry is None or id(entry) in self._given or not self._is_free(entry, resource):
                continue
            if resource.entry is None:
                self._take(resource, entry)
            elif fold:
                self._given.add(id(entry))
                resource.folded = (*resource.folded, entry)

    def _new(self, resource: Resource, name: str) -> None:
        identity = name or f"h-{resource.raw.hex()}"
        if self._manifest.get(resource.type, identity) is not None or (resource.type, identity) in self.fresh:
            identity = f"{identity[:47]}-{resource.raw.hex()[:16]}"
        # Copies without an id are byte for byte alike: they are counted.
        # What was taken stays so: the next copy goes on where the last one found a place.
        start = (resource.type, identity)
        identity, copy = self._reached.get(start, (identity, 1))
        while self._manifest.get(resource.type, identity) is not None or (resource.type, identity) in self.fresh:
            copy += 1
            identity = f"{identity[:47]}-{copy}"
        if copy > 1:
            self._reached[start] = identity, copy
        self.fresh[resource.type, identity] = resource
        resource.identity = identity


def _name(resource: Resource) -> tuple[str, str]:
    return resource.type, resource.id
