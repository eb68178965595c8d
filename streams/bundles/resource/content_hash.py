"""Hash what a resource says: the hash stays the same when nothing clinical changed.

Left out: the resource's own id, the times and places of its conversion, and which documents it was merged from. Lists
are compared as bags, but for those in `order`; numbers go by how they are written: 1.10 is more
precise than 1.1 (https://hl7.org/fhir/R4/datatypes.html#decimal).

What a reference means is known to the stage only once it has seen the whole bundle: here it is reduced to the type it
points at, and noted in a place that does not depend on the order of lists either.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from hashlib import blake2b
from itertools import count
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias
from zlib import crc32

import msgspec
from orjson import OPT_SORT_KEYS, dumps

from models.fhir_types import R4_TYPES
from streams.bundles.resource import facets
from streams.bundles.resource.facets import BY_PART, NONE, SAID, WHOLE, place
from streams.bundles.resource.keys import TYPES
from streams.bundles.resource.order import ORDERED, ORDERED_IN

DIGEST_BYTES = 16
VERSION = "4"  # part of the validator's id: a change has everything looked at again once
# https://hl7.org/fhir/R4/extension-artifact-relatedartifact.html, with a type of
# https://hl7.org/fhir/R4/valueset-related-artifact-type.html
DERIVED_FROM_URL = "http://hl7.org/fhir/StructureDefinition/artifact-relatedArtifact"
DERIVED_FROM = "derived-from"
_SORTED = OPT_SORT_KEYS
# References within a bundle that do not say their type: https://hl7.org/fhir/R4/bundle.html#references
BARE = ("urn:uuid:", "urn:id:")
# Metriport's extension that names the document a resource was converted from.
_DOCUMENT_ID_SUFFIX = "doc-id-extension.json"
# They change with each version of a resource, not with what it says: https://hl7.org/fhir/R4/resource.html#Meta
_VOLATILE_META = frozenset({"lastUpdated", "versionId", "source"})

# The references in an element, in its own order; a list in it holds those of equal items, whose order means nothing.
References: TypeAlias = list[Any]


class Words(NamedTuple):
    """What one resource says, as far as it is known from the resource alone.

    `text` is the hash of all of it. `facets` are those of each thing it says, `names` those of the identifiers that may
    name this very thing; nothing but documents for types that evidence says nothing about. `references` is a msgpack
    list of what it refers to, each behind the number of the element.
    """

    text: bytes
    facets: bytes
    names: bytes
    references: bytes


class _Element(NamedTuple):
    """An element of a resource: its place, whether its list may not be sorted, and whether its values recur."""

    name: str
    number: int
    begun: int
    how: int
    ordered: bool
    recurs: bool


class _Shape(NamedTuple):
    """The elements of a resource in an order of their own, and that order as it is written.

    First those that many resources have `alike`, all of them; `chosen` picks what they say.
    """

    number: int
    alike: tuple[_Element, ...]
    chosen: Callable[[dict[str, Any]], Any] | None
    others: tuple[_Element, ...]
    order: bytes


class _Said(NamedTuple):
    """What an element says: as it is written in an order of its own, what it refers to, and its facets."""

    written: bytes
    references: Sequence[Any]
    facets: Sequence[int]


def _spelled(number: str) -> float | str:
    """Return a number as it is, if it is written again as it was; else a text that no text in JSON can be."""
    found = float(number)
    return found if dumps(found) == number.encode() else f"\0{number}"


_EXACT = msgspec.json.Decoder(dict[str, Any], float_hook=_spelled).decode
_PACK = msgspec.msgpack.Encoder().encode
NO_REFERENCES = _PACK([])

# What these say stands in very many resources: codes, and what all resources of a visit or a patient refer to.
_RECURRING = frozenset(
    [
        *("code", "category", "type", "class", "vaccineCode", "reasonCode", "priority", "relationship", "site"),
        *("clinicalStatus", "verificationStatus", "medicationCodeableConcept", "valueCodeableConcept", "bodySite"),
        *("subject", "patient", "beneficiary", "encounter", "provider", "serviceProvider", "insurer", "requester"),
        *("performer", "participant", "practitioner", "organization", "location", "custodian", "author", "recorder"),
        *("meta", "insurance", "referral", "careTeam", "facility", "reasonReference", "managingOrganization"),
        *("physicalType", "extension", "contained", "total", "payment", "interpretation"),
    ]
)
# What these say together recurs, too: a patient's resources of one code differ in moment, value and visit.
_ALIKE = frozenset(
    [
        *("resourceType", "meta", "status", "clinicalStatus", "verificationStatus", "intent", "code", "category"),
        *("class", "type", "vaccineCode", "medicationCodeableConcept", "subject", "patient"),
    ]
)
_ALIKE_MIN = 2
# Of these neither an element says what they are, nor does one stand out by its order or by what it refers to.
_WHOLE = R4_TYPES - TYPES - ORDERED_IN.keys() - {"Composition"}
_OF_NO_ELEMENT = "\0"
_REMEMBERED_MAX = 2**13
_REMEMBERED_BYTES_MAX = 2**9
_SHAPES_MAX = 2**10
_SHAPE_CHARS_MAX = 2**10
_ALIKE_BYTES_MAX = 2**10
_remembered: dict[tuple[object, ...], _Said] = {}
_shapes: dict[tuple[str, ...], _Shape] = {}
_numbers = count()
_sorted_json = partial(dumps, option=_SORTED)


def raw_hash(raw: bytes) -> bytes:
    """Return the hash of the bytes as received."""
    return blake2b(raw, digest_size=DIGEST_BYTES).digest()


def words(resource: dict[str, Any] | None, raw: bytes) -> Words:
    """Return what a resource says. Modifies `resource`, which holds all of `raw`, if it is given.

    Raise ValueError if `raw` cannot be read.
    """
    if resource is None:
        resource = _EXACT(raw)
        _spell(resource)
    resource.pop("id", None)
    found = facets.of_documents(_drop_provenance(resource)) if "extension" in resource or "meta" in resource else []
    if resource.get("resourceType") in _WHOLE:
        return _whole(resource, found)
    names = facets.names(resource) if "identifier" in resource else b""
    shape = _shape(resource)
    references: References = []
    parts: list[bytes] = []
    if shape.chosen is not None:
        key = (shape.number, dumps(shape.chosen(resource)))
        written, referred, some = _remembered.get(key) or _take_down_alike(key, shape, resource)
        parts.append(written)
        references += referred
        found += some
    _take_down_all(shape.others, resource, parts, references, found)
    parts.append(shape.order)
    text = blake2b(b"\0".join(parts), digest_size=DIGEST_BYTES).digest()
    return Words(text, facets.packed(found), names, _PACK(references))


def _take_down_all(
    elements: Iterable[_Element], resource: dict[str, Any], parts: list[bytes], references: References, found: list[int]
) -> None:
    """Add what some elements of a resource say to its parts, references and facets."""
    for name, number, begun, how, ordered, recurs in elements:
        value = resource[name]
        kind = type(value)
        if recurs and (kind is dict or (kind is list and value and type(value[0]) is dict)):
            key = (name, how, dumps(value))
            said = _remembered.get(key) or _take_down(key, value)
            parts.append(said.written)
            references += said.references
            found += said.facets
            continue
        if (kind is dict or kind is list) and (some := _settle_any(resource, name, value, ordered=ordered)):
            references += _numbered(some, chr(number >> 24))
        written = dumps(value, option=_SORTED)
        parts.append(written)
        if how == WHOLE:
            found.append(number | crc32(written, begun) & SAID)
        elif how == BY_PART:
            found += facets.of_parts(name, value, written)


def _take_down_alike(key: tuple[int, bytes], shape: _Shape, resource: dict[str, Any]) -> _Said:
    """Return what the elements say that many resources have alike, and remember it."""
    parts: list[bytes] = []
    references: References = []
    found: list[int] = []
    _take_down_all(shape.alike, resource, parts, references, found)
    said = _Said(b"\0".join(parts), references, found)
    if len(key[1]) <= _ALIKE_BYTES_MAX:
        _remember(key, said)
    return said


def _remember(key: tuple[object, ...], said: _Said) -> None:
    if len(_remembered) >= _REMEMBERED_MAX:
        _remembered.clear()
    _remembered[key] = said


def _whole(resource: dict[str, Any], documents: list[int]) -> Words:
    """Return the words of a resource that only its content, or an id, can be recognised by: nothing by its elements."""
    references = _numbered(_settle(resource) or [], _OF_NO_ELEMENT)
    text = blake2b(dumps(resource, option=_SORTED), digest_size=DIGEST_BYTES).digest()
    return Words(text, facets.packed(documents), b"", _PACK(references))


def _settle_any(node: dict[str, Any], name: str, value: Any, *, ordered: bool) -> References | None:  # noqa: ANN401
    return _settle(value) if type(value) is dict else _settle_list(node, name, value, ordered=ordered)


def _shape(resource: dict[str, Any]) -> _Shape:
    """Return the elements of a resource; most have the same ones as many others."""
    resource_type = resource.get("resourceType")
    resource_type = resource_type if type(resource_type) is str else ""
    key = (resource_type, *resource)
    found = _shapes.get(key)
    if found is None:
        with_facets, ordered = resource_type in TYPES, ORDERED_IN.get(resource_type)
        elements = [
            _Element(name, number, begun, how if with_facets else NONE, name == ordered, name in _RECURRING)
            for name, (number, begun, how) in [(name, place(name)) for name in sorted(resource)]
        ]
        alike = tuple(each for each in elements if each.name in _ALIKE)
        alike = alike if len(alike) >= _ALIKE_MIN else ()
        others = tuple(each for each in elements if each not in alike)
        order = [each.name for each in (*alike, *others)]
        chosen = itemgetter(*(each.name for each in alike)) if alike else None
        found = _Shape(next(_numbers), alike, chosen, others, dumps(order))
        if sum(map(len, key)) <= _SHAPE_CHARS_MAX:
            if len(_shapes) >= _SHAPES_MAX:
                _shapes.clear()
            _shapes[key] = found
    return found


def _take_down(key: tuple[str, int, bytes], value: Any) -> _Said:  # noqa: ANN401 - any JSON
    """Return what one element says, and remember it: the same codes and targets stand in very many resources."""
    name, how, unsettled = key
    some = _settle_any({}, name, value, ordered=False)
    written = dumps(value, option=_SORTED)
    number, begun, _ = place(name)
    found: Sequence[int] = ()
    if how == WHOLE:
        found = (number | crc32(written, begun) & SAID,)
    elif how == BY_PART:
        found = facets.of_parts(name, value, written)
    said = _Said(written, _numbered(some, chr(number >> 24)) if some else (), found)
    if len(unsettled) <= _REMEMBERED_BYTES_MAX:
        _remember(key, said)
    return said


def _numbered(references: References, number: str) -> References:
    if len(references) == 1 and type(references[0]) is str:
        return [number + references[0]]
    return [number + one if type(one) is str else [_numbered(each, number) for each in one] for one in references]


def _drop_provenance(resource: dict[str, Any]) -> list[Any]:
    """Take out where the resource is from; return the names of the documents."""
    documents: list[Any] = []
    extensions = resource.get("extension")
    if isinstance(extensions, list):
        kept = [extension for extension in extensions if not _is_provenance(extension, documents)]
        _keep(resource, "extension", kept)
    meta = resource.get("meta")
    if isinstance(meta, dict) and not (meta and _VOLATILE_META.isdisjoint(meta)):
        _keep(resource, "meta", {key: value for key, value in meta.items() if key not in _VOLATILE_META})
    return documents


def _is_provenance(extension: Any, documents: list[Any]) -> bool:  # noqa: ANN401 - any JSON
    url = extension.get("url") if isinstance(extension, dict) else None
    if not isinstance(url, str):
        return False
    if url != DERIVED_FROM_URL:
        if found := url.endswith(_DOCUMENT_ID_SUFFIX):
            documents.append(extension.get("valueString"))
        return found
    artifact = extension.get("valueRelatedArtifact")
    return isinstance(artifact, dict) and artifact.get("type") == DERIVED_FROM


def _keep(resource: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401
    if value:
        resource[key] = value
    else:
        del resource[key]


def _settle(node: dict[str, Any]) -> References | None:
    """Put types in place of references, lists in an order of their own; return the references by the order of keys."""
    found: list[tuple[str, References]] | None = None
    for key, value in node.items():
        kind = type(value)
        if kind is str:
            if key != "reference":
                continue
            references = _referred(node, value)
        elif kind is dict:
            references = _settle(value)
        elif kind is list:
            # Most have one item, which has no order.
            is_alone = len(value) == 1 and type(value[0]) is dict
            references = _settle(value[0]) if is_alone else _settle_list(node, key, value, ordered=False)
        else:
            continue
        if references is not None:
            if found is None:
                found = [(key, references)]
            else:
                found.append((key, references))
    if found is None:
        return None
    if len(found) == 1:
        return found[0][1]
    found.sort(key=_first)
    return [one for _, references in found for one in references]


def _referred(node: dict[str, Any], reference: str) -> References | None:
    resource_type, _, known = reference.partition("/")
    if known and resource_type in R4_TYPES:
        node["reference"] = resource_type
        return [reference]
    if reference.startswith(BARE):
        node["reference"] = "urn"
        return [reference]
    return None


def _settle_list(node: dict[str, Any], key: str, items: list[Any], *, ordered: bool) -> References | None:
    found: list[References | None] | None = None
    for number, item in enumerate(items):
        kind = type(item)
        if kind is dict:
            references = _settle(item)
            if references is not None:
                found = found or [None] * len(items)
                found[number] = references
    if len(items) > 1 and not ordered and key not in ORDERED and not _is_paired(node, key, items):
        if found is not None:
            return _sort_with_references(items, found)
        items.sort(key=_sorted_json)
    return None if found is None else [one for references in found if references for one in references]


def _is_paired(node: dict[str, Any], key: str, items: list[Any]) -> bool:
    """Whether the list belongs to another one, item by item: `given` and `_given`."""
    return key[0] == "_" or (type(items[0]) is not dict and f"_{key}" in node)


def _sort_with_references(items: list[Any], found: list[References | None]) -> References:
    """Sort the items and, with them, their references; those of equal items become a list of their own."""
    order = sorted(zip(map(_sorted_json, items), found, items, strict=True), key=_first)
    items[:] = [item for _, _, item in order]
    gathered: dict[bytes, list[References]] = {}
    for written, references, _ in order:
        if references:
            gathered.setdefault(written, []).append(references)
    settled: References = []
    for equal in gathered.values():
        settled += equal[0] if len(equal) == 1 else [equal]
    return settled


def _first(pair: tuple[Any, ...]) -> Any:  # noqa: ANN401
    return pair[0]


def _spell(node: Any) -> None:  # noqa: ANN401
    """Put texts in place of whole numbers of more than 64 bits, which orjson does not write."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if type(value) is int:
            if not -(2**63) <= value < 2**64:
                node[key] = f"\0{value}"
        elif isinstance(value, dict | list):
            _spell(value)
