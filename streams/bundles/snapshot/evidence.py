"""Decide whether what two resources say allows that they are the same thing, by the table in `keys`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from streams.bundles.resource import facets
from streams.bundles.resource.facets import NAME_BYTES
from streams.bundles.resource.keys import FIRM, KEYS, NAMED, TYPES, Key
from streams.bundles.snapshot import references
from streams.bundles.snapshot.manifest import Entry
from streams.bundles.snapshot.resources import Resource


class _Numbers(NamedTuple):
    """A key by the numbers of its elements; `firm` may not be contradicted where an identifier is the same."""

    what: frozenset[int]
    when: frozenset[int]
    alike: frozenset[int]
    firm: frozenset[int]
    undated: bool


def _numbers(*groups: tuple[str, ...]) -> frozenset[int]:
    return frozenset(facets.element(each) for names in groups for name in names for each in (name, f"{name}.text"))


_NO_KEY = Key((), (), (), "")
_BY_TYPE = {
    name: _Numbers(
        _numbers(key.what),
        _numbers(key.when),
        _numbers(key.alike),
        _numbers(NAMED.get(name, (*key.what, *key.when, *FIRM))),
        key.undated,
    )
    for name, key in ({each: KEYS.get(each, _NO_KEY) for each in TYPES}).items()
}


class Statement(NamedTuple):
    """What a resource says, element by element."""

    said: dict[int, set[int]]
    linked: dict[int, set[bytes]]
    names: frozenset[bytes]


def statement(known: Resource | Entry, *, links: bytes | None = None) -> Statement:
    """Return what a resource or an entry says; it refers to `links`, or to those that it has itself."""
    linked = references.by_element(known.links if links is None else links)
    return Statement(facets.by_element(known.facets), linked, frozenset(split_names(known.names)))


def split_names(names: bytes) -> list[bytes]:
    """Return the hashes of a resource's identifiers."""
    return [names[at : at + NAME_BYTES] for at in range(0, len(names), NAME_BYTES)]


def anchors(resource_type: str, found: Statement) -> set[tuple[int, int]]:
    """Return what a resource can be looked for by: each of its codes with each of its moments, if it says both."""
    numbers = _BY_TYPE.get(resource_type)
    if numbers is None or not numbers.what:
        return set()
    moments = [one for number in numbers.when for one in found.said.get(number, ())]
    if numbers.undated:
        moments.append(0)
    return {(code, moment) for number in numbers.what for code in found.said.get(number, ()) for moment in moments}


def may_be_same(resource_type: str, one: Statement, other: Statement) -> bool:
    """Whether what two resources with an anchor in common say allows that they are the same."""
    numbers = _BY_TYPE[resource_type]
    if one.names and other.names and not one.names & other.names:
        return False
    return _agree(one.said, other.said, numbers.alike) and _agree(one.linked, other.linked, numbers.alike)


def may_be_renamed(resource_type: str, one: Statement, other: Statement) -> bool:
    """Whether what two resources with an identifier of their own in common say allows that they are the same."""
    numbers = _BY_TYPE.get(resource_type)
    if numbers is None:
        return False
    found: list[tuple[Mapping[int, set[Any]], Mapping[int, set[Any]]]]
    found = [(one.said, other.said), (one.linked, other.linked)]
    return all(_agrees(first.get(number), second.get(number)) for first, second in found for number in numbers.firm)


def _agree(one: Mapping[int, set[Any]], other: Mapping[int, set[Any]], alike: frozenset[int]) -> bool:
    for number in (one.keys() | other.keys()) - {facets.DOCUMENTS}:
        first, second = one.get(number), other.get(number)
        if number in alike:
            if first != second and not _is_unsettled(first) and not _is_unsettled(second):
                return False
        elif not _agrees(first, second):
            return False
    return True


def _agrees(one: set[Any] | None, other: set[Any] | None) -> bool:
    """Whether one says no more than the other, or one says nothing."""
    if not one or not other or _is_unsettled(one) or _is_unsettled(other):
        return True
    return one <= other or other <= one


def _is_unsettled(targets: set[Any] | None) -> bool:
    return targets is not None and references.UNSETTLED in targets
