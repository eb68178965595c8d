"""Read the facts of a resource before it is validated: its type, its id, those merged into it, and whom it is about.

msgspec passes over all other members without building them.
"""

import re
from operator import attrgetter
from typing import Any

import msgspec
import orjson

from models.fhir_types import R4_TYPES, SUBJECTS
from streams.bundles.resource.content_hash import DERIVED_FROM, DERIVED_FROM_URL

UNKNOWN_TYPE = "Unknown"
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}\Z")  # https://hl7.org/fhir/R4/datatypes.html#id
_DERIVED_FROM = DERIVED_FROM_URL.encode()


class Facts(msgspec.Struct, frozen=True, gc=False):
    """The type, the id it has, the ids it was merged from, and the element that says whom it is about, as JSON."""

    type: str
    id: str = ""
    aliases: tuple[str, ...] = ()
    subject: bytes = b""


class _RelatedArtifact(msgspec.Struct):
    type: str = ""
    display: str = ""


class _Extension(msgspec.Struct):
    url: str = ""
    valueRelatedArtifact: _RelatedArtifact | None = None  # noqa: N815 - FHIR's name


_NOTHING = msgspec.Raw()
_EXTENSIONS = msgspec.json.Decoder(list[_Extension])


class _Resource(msgspec.Struct):
    resourceType: str = ""  # noqa: N815
    id: str = ""
    extension: msgspec.Raw = _NOTHING
    subject: msgspec.Raw = _NOTHING
    patient: msgspec.Raw = _NOTHING
    beneficiary: msgspec.Raw = _NOTHING
    candidate: msgspec.Raw = _NOTHING
    individual: msgspec.Raw = _NOTHING
    for_: msgspec.Raw = msgspec.field(default=_NOTHING, name="for")


_SUBJECTS = {kind: attrgetter("for_" if name == "for" else name) for kind, name in SUBJECTS.items()}
_RESOURCE = msgspec.json.Decoder(_Resource)


def facts(raw: bytes) -> Facts:
    """Return the facts of one resource; as few as can be had if it is not what it should be. Never raises."""
    try:
        resource = _RESOURCE.decode(raw)
        aliases = _aliases(resource) if resource.extension else ()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _few_facts(raw)
    resource_type = _type(resource.resourceType)
    subject = _SUBJECTS.get(resource_type)
    return Facts(resource_type, _id(resource.id), aliases, bytes(subject(resource)) if subject is not None else b"")


def _aliases(resource: _Resource) -> tuple[str, ...]:
    """Return the ids of the resources that were folded into this one."""
    if _DERIVED_FROM not in bytes(resource.extension):
        return ()
    prefix = f"{resource.resourceType}/"
    return tuple(
        alias
        for extension in _EXTENSIONS.decode(resource.extension)
        if extension.url == DERIVED_FROM_URL
        and extension.valueRelatedArtifact is not None
        and extension.valueRelatedArtifact.type == DERIVED_FROM
        and extension.valueRelatedArtifact.display.startswith(prefix)
        and (alias := _id(extension.valueRelatedArtifact.display.removeprefix(prefix)))
    )


def _few_facts(raw: bytes) -> Facts:
    try:
        resource: Any = orjson.loads(raw)
    except ValueError:
        return Facts(UNKNOWN_TYPE)
    if not isinstance(resource, dict):
        return Facts(UNKNOWN_TYPE)
    resource_type = _type(resource.get("resourceType"))
    subject = resource.get(SUBJECTS.get(resource_type))
    return Facts(resource_type, _id(resource.get("id")), subject=orjson.dumps(subject) if subject is not None else b"")


def _type(value: object) -> str:
    """Return a type's name; nothing that only stands in its place goes into a key or a header."""
    return value if isinstance(value, str) and value in R4_TYPES else UNKNOWN_TYPE


def _id(value: object) -> str:
    return value if isinstance(value, str) and _ID.match(value) else ""
