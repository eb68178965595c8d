"""Find the known resources that a resource under another id could be: same content, or evidence and no doubt."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from streams.bundles.resource import facets
from streams.bundles.snapshot import evidence
from streams.bundles.snapshot.evidence import Statement
from streams.bundles.snapshot.manifest import Entry, Manifest
from streams.bundles.snapshot.references import Resolver, name_of, split_links
from streams.bundles.snapshot.resources import Resource

_T = TypeVar("_T", Resource, Entry)

_PATIENT = "Patient"  # it is the id that says whose bundle it is
_DOUBTFUL = 16  # so many of one code at one moment: nobody can tell them apart, and looking at all costs time


class SimilarEntries:
    """The entries that `unknown` resources could be, of those that `is_offered`; `resources` are all of the bundle."""

    def __init__(
        self,
        manifest: Manifest,
        unknown: list[Resource],
        is_offered: Callable[[Entry], bool],
        resources: Sequence[Resource],
        resolver: Resolver,
    ) -> None:
        wanted = {resource.type for resource in unknown} - {_PATIENT}
        self._known = [entry for entry in manifest if entry.type in wanted and entry.text]
        self._offered = [entry for entry in self._known if is_offered(entry)]
        self._is_offered = is_offered
        self._unknown = unknown
        self._resources = resources
        self._resolver = resolver
        self._manifest = manifest
        self.types = {entry.type for entry in self._offered}

    @cached_property
    def _by_content(self) -> dict[tuple[str, bytes, bytes], deque[Entry]]:
        found: defaultdict[tuple[str, bytes, bytes], deque[Entry]] = defaultdict(deque)
        for entry in sorted(self._offered, key=_identity):
            found[entry.type, entry.text, entry.links].append(entry)
        return found

    def same(self, resource: Resource) -> Entry | None:
        """Return the first entry that says the same, of the same targets."""
        found = self._by_content.get((resource.type, resource.text, resource.links))
        while found and not self._is_offered(found[0]):
            found.popleft()
        return found[0] if found else None

    @cached_property
    def _by_meaning(self) -> dict[tuple[str, bytes], list[Entry]]:
        found: defaultdict[tuple[str, bytes], list[Entry]] = defaultdict(list)
        for entry in self._offered:
            found[entry.type, entry.content].append(entry)
        return found

    def same_but_for_lost(self, resource: Resource) -> Entry | None:
        """Return the one entry from the same document that says the same but for references that lead nowhere.

        They have another id in each conversion. In two documents it may be another thing that they lead to.
        """
        found = self._by_meaning.get((resource.type, resource.content), ())
        if len(found) != 1 or self._texts[resource.type, resource.text] != 1 or not self._is_offered(found[0]):
            return None
        mine, known = (facets.by_element(one.facets).get(facets.DOCUMENTS) for one in (resource, found[0]))
        return found[0] if mine and mine == known else None

    def in_circles(self, waiting: list[Resource]) -> list[tuple[Resource, Entry]]:
        """Return pairs that say the same, their targets as well, among resources that all refer to each other.

        Those that are beyond doubt; if there are none, all of one type, in order.
        """
        sought: defaultdict[tuple[str, bytes, tuple[bytes, ...]], list[Resource]] = defaultdict(list)
        for resource in waiting:
            sought[resource.type, resource.text, self._resolver.marks(resource)].append(resource)
        texts = {(kind, text) for kind, text, _ in sought}
        offered: defaultdict[tuple[str, bytes, tuple[bytes, ...]], list[Entry]] = defaultdict(list)
        for entry in self._offered:
            if (entry.type, entry.text) in texts and self._is_offered(entry):
                offered[entry.type, entry.text, self._marks(entry)].append(entry)
        common = sorted(key for key in sought if key in offered)
        sure = [(sought[key][0], offered[key][0]) for key in common if len(sought[key]) == len(offered[key]) == 1]
        if sure or not common:
            return sure
        return [
            pair
            for key in common
            if key[0] == common[0][0]
            for pair in zip(sought[key], sorted(offered[key], key=_identity), strict=False)
        ]

    def _marks(self, entry: Entry) -> tuple[bytes, ...]:
        """Return an entry's links, those to what is still offered by what that says."""
        found = []
        for element, target in split_links(entry.links):
            known = self._by_name.get(target)
            still = known is not None and self._is_offered(known)
            found.append(bytes([element]) + (known.text[: len(target)] if known is not None and still else target))
        return tuple(sorted(found))

    @cached_property
    def _by_name(self) -> dict[bytes, Entry]:
        return {name_of(entry): entry for entry in self._offered}

    def evident(self, resource: Resource) -> Entry | None:
        """Return the one entry that evidence shows to be the same as `resource`; None if there is a doubt."""
        if not resource.facets:
            return None
        found = evidence.statement(resource)
        return self._by_names(resource, found) or self._by_key(resource, found)

    def _by_names(self, resource: Resource, found: Statement) -> Entry | None:
        """Return the entry that has the same identifier, if that names one thing in the whole record."""
        hits = []
        for name in found.names:
            known = self._named[resource.type, name]
            if len(known) == 1 and self._names[resource.type, name] == 1 and self._is_open(resource, known[0]):
                hits.append(known[0])
        if not hits or any(hit is not hits[0] for hit in hits):
            return None
        return hits[0] if evidence.may_be_renamed(resource.type, found, evidence.statement(hits[0])) else None

    @cached_property
    def _named(self) -> defaultdict[tuple[str, bytes], list[Entry]]:
        """All entries by identifier, also those that are given away: whether one names a single thing shows in all."""
        found: defaultdict[tuple[str, bytes], list[Entry]] = defaultdict(list)
        for entry in self._known:
            for name in evidence.split_names(entry.names):
                found[entry.type, name].append(entry)
        return found

    @cached_property
    def _names(self) -> Counter[tuple[str, bytes]]:
        """How many resources of the bundle, copies not counted, have an identifier."""
        said = {(resource.type, resource.text, resource.names) for resource in self._resources if resource.names}
        return Counter((kind, name) for kind, _, names in said for name in evidence.split_names(names))

    def _is_open(self, resource: Resource, entry: Entry) -> bool:
        """Whether `entry` is offered, and no other resource says what it says."""
        others = self._texts[entry.type, entry.text] - (resource.text == entry.text)
        return self._is_offered(entry) and others <= 0

    @cached_property
    def _texts(self) -> Counter[tuple[str, bytes]]:
        return Counter((resource.type, resource.text) for resource in self._unknown)

    def _by_key(self, resource: Resource, found: Statement) -> Entry | None:
        """Return the one entry of the same code and moment that nothing speaks against; no other resource may fit."""
        anchors = evidence.anchors(resource.type, found)
        entries = self._gathered(anchors, self._anchored, resource.type)
        if entries is None:
            return None
        fitting = [
            entry
            for entry in entries
            if self._is_open(resource, entry) and evidence.may_be_same(resource.type, found, evidence.statement(entry))
        ]
        if len(fitting) != 1:
            return None
        known = evidence.statement(fitting[0])
        rivals = self._gathered(evidence.anchors(resource.type, known), self._anchoring, resource.type)
        if rivals is None or any(self._is_rival(other, resource, known) for other in rivals):
            return None
        return fitting[0]

    def _is_rival(self, other: Resource, resource: Resource, known: Statement) -> bool:
        if other is resource or other.entry is not None:
            return False
        said = evidence.statement(other, links=self._resolver.linked(other).links)
        return evidence.may_be_same(resource.type, said, known)

    @staticmethod
    def _gathered(
        anchors: Iterable[tuple[int, int]], by_anchor: Mapping[tuple[str, int, int], list[_T]], kind: str
    ) -> list[_T] | None:
        """Return all that has one of the anchors; None if that is too much."""
        found: dict[int, _T] = {}
        for code, moment in anchors:
            some = by_anchor.get((kind, code, moment), [])
            if len(some) > _DOUBTFUL:
                return None
            found.update({id(one): one for one in some})
        return list(found.values())

    @cached_property
    def _anchored(self) -> dict[tuple[str, int, int], list[Entry]]:
        return _by_anchor(self._offered)

    @cached_property
    def _anchoring(self) -> dict[tuple[str, int, int], list[Resource]]:
        return _by_anchor(self._unknown)


def _by_anchor(known: Iterable[_T]) -> dict[tuple[str, int, int], list[_T]]:
    found: defaultdict[tuple[str, int, int], list[_T]] = defaultdict(list)
    for one in known:
        for code, moment in evidence.anchors(one.type, evidence.statement(one)):
            found[one.type, code, moment].append(one)
    return found


def _identity(entry: Entry) -> str:
    return entry.identity
