"""Number each thing a resource says, so that two resources can be compared by what they say alike.

A facet is 32 bits: eight for the element, the rest for what it says. Elements of one number are taken for one, which
can only make two resources look more different than they are. A choice (`value[x]`,
https://hl7.org/fhir/R4/formats.html#choice) is one element, and which of its types it is part of what it says.
"""

import re
from array import array
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, NamedTuple
from zlib import crc32

import orjson

DOCUMENTS = 0
NAME_BYTES = 8
_ITEMS_MAX = 16
_NAMES_MAX = 16
_ELEMENTS_MAX = 4096
_ELEMENT_CHARS_MAX = 64
_CHOICE = re.compile(
    "(value|effective|onset|abatement|performed|occurrence|medication|deceased|born|age|timing|scheduled|serviced)"
    "(?=[A-Z])"
)
# Says in which state a thing is, or who wrote of it and when, not which thing it is.
_PASSING = frozenset(
    [
        *("id", "resourceType", "meta", "implicitRules", "language", "text", "identifier", "status", "statusReason"),
        *("statusDate", "clinicalStatus", "verificationStatus", "lifecycleStatus", "achievementStatus", "docStatus"),
        *("issued", "active", "telecom"),
    ]
)
# An identifier of these types names something else, unless the resource is of a type named here.
# https://terminology.hl7.org/CodeSystem-v2-0203.html
_NAMES_OTHERS = {
    "ACSN": frozenset({"ImagingStudy"}),
    "AN": frozenset({"Account"}),
    "FILL": frozenset({"ServiceRequest", "DiagnosticReport"}),
    "MR": frozenset[str](),
    "PI": frozenset[str](),
    "PLAC": frozenset({"ServiceRequest"}),
    "PT": frozenset[str](),
    "SS": frozenset[str](),
    "VN": frozenset({"Encounter"}),
}
# Written where a value or a system is not known: https://terminology.hl7.org/CodeSystem-v3-NullFlavor.html
_NOTHING = frozenset(
    [
        *("", "unk", "ni", "na", "nask", "asku", "nav", "navu", "msk", "oth", "qs", "trc", "np", "inv", "der"),
        *("unknown", "none", "null", "nil", "n/a", "undefined", "not available", "not applicable", "no information"),
        *("-", "--", ".", "?", "0"),
    ]
)
_NOTHING_SYSTEM = re.compile("nullflavor|data-absent-reason|v3-unknown", re.IGNORECASE)

# Elements that some type's sameness rests on have a number of their own, the others share those behind. The numbers are
# kept in the state: what is new goes to the end.
_OF_THEIR_OWN = (
    *("accessionIdentifier", "activity", "authoredOn", "batch", "beneficiary", "birthDate", "bodySite", "category"),
    *("class", "code", "collection", "component", "condition", "content", "context", "date", "description", "dosage"),
    *("doseQuantity", "effective", "encounter", "gender", "hasMember", "ingredient", "intent", "location", "lotNumber"),
    *("medication", "method", "name", "occurrence", "onset", "order", "participant", "partOf", "patient", "payor"),
    *("performed", "performer", "period", "policyHolder", "protocolApplied", "quantity", "reaction", "receivedTime"),
    *("recordedDate", "relationship", "requester", "result", "section", "serialNumber", "serviceProvider", "sex"),
    *("site", "specimen", "stage", "start", "subject", "subscriberId", "target", "title", "type", "udiCarrier"),
    *("vaccineCode", "value", "whenHandedOver", "whenPrepared", "dosageInstruction", "address"),
)
_FIXED = {
    f"{name}.{part}": 2 * place + number
    for place, name in enumerate(_OF_THEIR_OWN)
    for number, part in enumerate(("", "text"), start=1)
}
_SHARED_FROM = len(_FIXED) + 1
_NUMBERS = 2**8


class Place(NamedTuple):
    """Of an element: its number, already in its place; where the hash of what it says begins; how that is taken."""

    number: int
    begun: int
    how: int


NONE, WHOLE, BY_PART = range(3)
SAID = 0xFFFFFF
_BY_PART = frozenset(
    [
        *("code", "vaccineCode", "medication", "description", "relationship", "type", "category", "payor", "title"),
        *("note", "reasonCode", "extension", "address"),
    ]
)
_places: dict[str, Place] = {}
known = _places.get


def element(name: str) -> int:
    """Return the number of a top-level element; that of all its types if it is a choice."""
    return place(name).number >> 24


def place(name: str) -> Place:
    """Return an element's place; `code.text` is an element of its own."""
    found = known(name)
    if found is None:
        whole, _, part = name.partition(".")
        choice = _CHOICE.match(whole)
        stem = choice[1] if choice else whole
        key = f"{stem}.{part}"
        number = _FIXED.get(key) or _SHARED_FROM + crc32(_utf8(key)) % (_NUMBERS - _SHARED_FROM)
        by_part = stem in _BY_PART or name == "period" or name.endswith("Period")
        how = NONE if name in _PASSING else BY_PART if by_part else WHOLE
        found = Place(number << 24, crc32(_utf8(name)), how)
        if len(_places) < _ELEMENTS_MAX and len(name) <= _ELEMENT_CHARS_MAX:
            _places[name] = found
    return found


def _utf8(name: str) -> bytes:
    return name.encode("utf-8", "replace")


def of_parts(name: str, value: Any, written: bytes) -> list[int]:  # noqa: ANN401 - any JSON
    """Return the facets of an element of which two documents may know different parts; `written` is its value."""
    number, begun, _ = place(name)
    kind = type(value)
    if kind is dict:
        if "coding" in value or "text" in value:
            return _of_concept(name, value, number, begun)
        if "start" in value or "end" in value:
            # The beginning is the moment; when it ended may be known later.
            return [_facet(name if part == "start" else f"{name}.{part}", _json(value[part])) for part in sorted(value)]
    elif kind is list and 0 < len(value) <= _ITEMS_MAX:
        return [number | crc32(_json(item), begun) & SAID for item in value]
    return [number | crc32(written, begun) & SAID]


def _facet(name: str, written: bytes) -> int:
    number, begun, _ = place(name)
    return number | crc32(written, begun) & SAID


def _of_concept(name: str, concept: dict[str, Any], number: int, begun: int) -> list[int]:
    """Return the facets of a CodeableConcept: each code it has, and the text; how a code is displayed says nothing."""
    found = []
    for part in sorted(concept):
        value = concept[part]
        if part == "coding" and type(value) is list:
            for coding in value[:_ITEMS_MAX]:
                if type(coding) is dict and "code" in coding:
                    written = f"{coding.get('system')}|{coding['code']}".encode()
                else:
                    written = _json(coding)
                found.append(number | crc32(written, begun) & SAID)
        else:
            found.append(_facet(f"{name}.{part}", _json(value)))
    return found


def of_documents(names: Iterable[object]) -> list[int]:
    """Return facets for the documents that a resource is from: no thing that it says, so under no element."""
    return [DOCUMENTS << 24 | crc32(name.encode()) & SAID for name in names if isinstance(name, str) and name]


def packed(found: list[int]) -> bytes:
    """Return facets as bytes."""
    return array("I", found).tobytes()


def by_element(raw: bytes) -> dict[int, set[int]]:
    """Return packed facets by the number of their element."""
    found: dict[int, set[int]] = {}
    for facet in array("I", raw):
        found.setdefault(facet >> 24, set()).add(facet)
    return found


def names(resource: dict[str, Any]) -> bytes:
    """Return hashes of the identifiers that may name this very thing: with a system and a value that say something."""
    identifiers = resource.get("identifier")
    if not isinstance(identifiers, list):
        return b""
    kind = resource.get("resourceType")
    found = {_name(one) for one in identifiers[:_NAMES_MAX] if isinstance(one, dict) and _is_own(one, kind)}
    return b"".join(sorted(found))


def _is_own(identifier: dict[str, Any], kind: object) -> bool:
    system, value = identifier.get("system"), identifier.get("value")
    if not isinstance(system, str) or not isinstance(value, str):
        return False
    if system.strip().lower() in _NOTHING or value.strip().lower() in _NOTHING or _NOTHING_SYSTEM.search(system):
        return False
    concept = identifier.get("type")
    codings = concept.get("coding") if isinstance(concept, dict) else None
    codes = [one.get("code") for one in codings if isinstance(one, dict)] if isinstance(codings, list) else []
    return all(kind in _NAMES_OTHERS.get(code, (kind,)) for code in codes if isinstance(code, str))


def _name(identifier: dict[str, Any]) -> bytes:
    written = _json([identifier["system"].strip(), identifier["value"].strip()])
    return blake2b(written, digest_size=NAME_BYTES).digest()


def _json(value: Any) -> bytes:  # noqa: ANN401
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
