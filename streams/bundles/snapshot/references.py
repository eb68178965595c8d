"""Resolve references to the identities of what they point at: ids change with every conversion."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from streams.bundles.resource import facets
from streams.bundles.resource.content_hash import BARE, DIGEST_BYTES, References
from streams.bundles.snapshot.manifest import Entry, Manifest
from streams.bundles.snapshot.resources import Resource

LINK_BYTES = 8  # one for the element, seven for what it refers to
UNSETTLED = bytes(LINK_BYTES - 1)
_CACHED_MAX = 200_000
# Metriport leaves out much of what the sections of a document refer to, and gives it another id in each conversion.
_LOST = facets.element("section")

_UNPACK = msgspec.msgpack.Decoder(list).decode


class Linked(NamedTuple):
    """What a resource says with its references resolved, and the references alone."""

    content: bytes
    links: bytes


class _Link(NamedTuple):
    """A reference as it counts in the content, and in the links: one that leads nowhere says only its type there."""

    content: bytes
    link: bytes


class Resolver:
    """Resolves the references of a bundle to the identity of one of its resources, or of a known entry.

    `by_id` are the bundle's resources by type and id.
    """

    def __init__(self, manifest: Manifest, resources: Sequence[Resource]) -> None:
        self._manifest = manifest
        self.by_id = {(resource.type, resource.id): resource for resource in resources if resource.id}
        self._aliases = {(resource.type, known): resource for resource in resources for known in resource.aliases}
        self._found: dict[str, _Link] = {}
        self._names: dict[str, bytes] = {}
        self._joined: dict[bytes, _Link] = {}
        self._is_open = False

    @cached_property
    def _bare_resources(self) -> dict[str, Resource]:
        found = {known: resource for (_, known), resource in self._aliases.items()}
        found.update({resource.id: resource for resource in self.by_id.values()})
        return found

    @cached_property
    def _bare_entries(self) -> dict[str, Entry]:
        return {known: entry for entry in self._manifest for known in reversed(entry.ids)}

    def linked(self, resource: Resource) -> Linked:
        """Return what `resource` says now; what refers to a resource without an identity yet is unsettled in it."""
        # The resources of one visit refer to the same.
        said, links = self._joined.get(resource.references) or self._join(resource.references)
        return Linked(blake2b(resource.text + said, digest_size=DIGEST_BYTES).digest(), links)

    def _join(self, packed: bytes) -> _Link:
        """Return what references say together."""
        references: References = _UNPACK(packed)
        known, look_up = self._found.get, self._link
        self._is_open = False
        try:
            found = [known(one) or look_up(one) for one in references]
            joined = _Link(b"".join([content for content, _ in found]), b"".join([link for _, link in found]))
        except TypeError:
            # Not only texts: several that are alike.
            joined = _Link(self._sorted(references, _said), self._sorted(references, _led))
        if not self._is_open:
            if len(self._joined) >= _CACHED_MAX:
                self._joined.clear()
            self._joined[packed] = joined
        return joined

    def _sorted(self, references: References, what: Callable[[_Link], bytes]) -> bytes:
        """Return what the references say, in their order; those of equal items in the order of what they say."""
        return b"".join(
            [
                what(self._link(one))
                if type(one) is str
                else b"".join(sorted(self._sorted(each, what) for each in one))
                for one in references
            ]
        )

    def targets(self, resource: Resource) -> Iterator[Resource]:
        """Yield the resources that `resource` refers to."""
        for written in _all(_UNPACK(resource.references)):
            found = self._resource(written[1:])
            if found is not None and found is not resource:
                yield found

    def marks(self, resource: Resource) -> tuple[bytes, ...]:
        """Return the links of `resource`; what refers to a resource without an identity yet, by what that says."""
        found = []
        for written in _all(_UNPACK(resource.references)):
            target, link = self._resource(written[1:]), self._link(written).link
            still = target is not None and not target.identity
            found.append(link[:1] + target.text[: len(UNSETTLED)] if target is not None and still else link)
        return tuple(sorted(found))

    def _link(self, written: str) -> _Link:
        found = self._found.get(written)
        return found if found is not None else self._resolved(written)

    def _resolved(self, written: str) -> _Link:
        if len(self._found) >= _CACHED_MAX:
            self._found.clear()
            self._names.clear()
        element, reference = ord(written[0]), written[1:]
        number = bytes([element])
        name = self._names.get(reference)
        if name is None:
            resource = self._resource(reference)
            if resource is not None and not resource.identity:
                # Not to be kept: it will have one.
                self._is_open = True
                return _Link(number + UNSETTLED, number + UNSETTLED)
            known = resource or self._entry(reference)
            name = self._names[reference] = named(f"{known.type}/{known.identity}") if known is not None else b""
        if name:
            link = number + name
            found = _Link(link, link)
        else:
            kind = number + named(reference.partition("/")[0])
            found = _Link(kind, kind if element == _LOST else number + named(reference))
        self._found[written] = found
        return found

    def _resource(self, reference: str) -> Resource | None:
        if reference.startswith(BARE):
            return self._bare_resources.get(reference.rpartition(":")[2])
        resource_type, _, known = reference.partition("/")
        key = (resource_type, known)
        return self.by_id.get(key) or self._aliases.get(key)

    def _entry(self, reference: str) -> Entry | None:
        if reference.startswith(BARE):
            return self._bare_entries.get(reference.rpartition(":")[2])
        resource_type, _, known = reference.partition("/")
        return self._manifest.by_id.get((resource_type, known))


def _said(link: _Link) -> bytes:
    return link.content


def _led(link: _Link) -> bytes:
    return link.link


def _all(references: References) -> Iterator[str]:
    for one in references:
        if type(one) is str:
            yield one
        else:
            for each in one:
                yield from _all(each)


def named(target: str) -> bytes:
    """Return the hash of what is referred to: `Type/identity`, or the reference itself if it leads nowhere."""
    return blake2b(target.encode("utf-8", "replace"), digest_size=LINK_BYTES - 1).digest()


def name_of(entry: Entry) -> bytes:
    """Return the hash by which others refer to an entry."""
    return named(f"{entry.type}/{entry.identity}")


def split_links(links: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number of the element and what it refers to, for each link."""
    for at in range(0, len(links), LINK_BYTES):
        yield links[at], links[at + 1 : at + LINK_BYTES]


def by_element(links: bytes) -> dict[int, set[bytes]]:
    """Return links by the number of their element."""
    found: dict[int, set[bytes]] = {}
    for element, target in split_links(links):
        found.setdefault(element, set()).add(target)
    return found
