"""Fast path over bytes, for everyday resources: accepts a subset of what the fast path over parsed JSON accepts.

msgspec reads a resource into structs made of the library's own field schemas. It takes plain text only, where white
space is a blank, a tab or the end of a line: then most of the library's patterns come down to a length. What it
rejects is validated by `fast_dict` next.
"""

import re
from collections.abc import Callable, Mapping
from functools import reduce
from operator import attrgetter, or_
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta

from streams.bundles.validation.fast_dict import EVERYDAY_TIMES, everyday_fields
from streams.bundles.validation.schema import (
    ANY_RESOURCE,
    Checks,
    Choice,
    Element,
    Schema,
    Unassembled,
    definitions,
    python_primitive,
)

Read = Callable[[bytes], object]

_CODE = re.compile(r"^\S+\Z")
_PREFIX = "of_"  # some names in FHIR are keywords in Python
_NEVER = Literal["\0"]  # not in plain text
_TEXTS: dict[str | None, Any] = {
    None: str,
    r"\S*": str,
    r"\s*(\S|\s)*": str,
    "[ \r\n\t\\S]+": Annotated[str, Meta(min_length=1)],
    # A code may have single blanks in it; hardly any has.
    r"^[^\s]+(\s[^\s]+)*$": Annotated[str, Meta(pattern=_CODE.pattern)],
    r"^[A-Za-z0-9\-.]+$": Annotated[str, Meta(pattern=r"^[A-Za-z0-9\-.]+\Z", max_length=64)],
}
_PYTHONS: dict[str, Any] = {
    # In Python a `$` would let a text end with a new line.
    **{name: Annotated[str, Meta(pattern=times.replace("$", r"\Z"))] for name, times in EVERYDAY_TIMES.items()},
    "Decimal": float,
    "Url": str,
}


def accepting(classes: Mapping[str, Any]) -> Read:
    """Return a function of a resource's bytes that raises unless the library would accept it.

    Raise `Unassembled` if it cannot be built.
    """
    schemas, resources = definitions(classes, _Everyday())
    types: dict[str, Any] = {name: schema["struct"] for name, schema in schemas.items() if schema["type"] == "struct"}
    types[ANY_RESOURCE] = reduce(or_, [types[name] for name in resources.values()])
    for schema in schemas.values():
        if schema["type"] == "struct":
            # Elements are made of each other, so their types are told when all are there; only a decoder needs them.
            told = {_PREFIX + key: _type(field["schema"], types) for key, field in schema["fields"].items()}
            schema["struct"].__annotations__.update(told)
    decode = msgspec.json.Decoder(types[ANY_RESOURCE]).decode

    def read(raw: bytes) -> object:
        if (b"\\" in raw or not raw.isascii()) and not _is_plain(raw):
            raise msgspec.ValidationError("not plain")
        return decode(raw)

    return read


def _is_plain(raw: bytes) -> bool:
    """Whether no text has any other white space than blanks, tabs and ends of lines, escaped or not."""
    if b"\\" in raw and (b"\\u" in raw or b"\\f" in raw):
        return False
    return raw.isascii() or raw.decode().isprintable()


def _type(schema: Schema, types: Mapping[str, Any]) -> Any:  # noqa: ANN401
    match schema["type"]:
        case "definition-ref":
            return types[schema["schema_ref"]]
        case "list":
            return list[_type(schema["items_schema"], types)]  # type: ignore[misc]
        case "primitive":
            return schema["as"]
        case kind:
            raise Unassembled(kind)


class _Choice:
    """The everyday names of a choice."""

    def __init__(self, choice: Choice, fields: Mapping[str, Any]) -> None:
        self.names = [name for name in fields if name in choice.names]
        self.required = choice.required


class _Everyday:
    def leaf(self, schema: Schema, element: Element) -> Schema:
        # Codes that the library lists are looked up sooner than matched; those it does not list are not for every day.
        codes = tuple(filter(_CODE.match, element.extra.get("enum_values") or ()))
        return {"type": "primitive", "as": Literal[codes] if codes else _primitive(schema)}

    def nested(self, schema: Schema, element: Element, *, data_type: str) -> Schema:  # noqa: ARG002
        return schema

    def nullable(self, schema: Schema, *, in_list: bool) -> Schema:  # noqa: ARG002 - nulls are not for every day
        inner: Schema = schema["schema"]
        return inner

    def listed(self, schema: Schema) -> Schema:
        return {"type": "list", "items_schema": schema["items_schema"]}

    def object(self, cls: Any, fields: dict[str, Any], checks: Checks | None) -> Schema:  # noqa: ANN401
        tag = cls.__name__ if cls.has_resource_base() else None
        fields = {key: field for key, field in fields.items() if key[0] != "_" and not (tag and key == "resourceType")}
        fields = everyday_fields(cls, fields)
        choices = [_Choice(choice, fields) for choice in (checks.choices if checks else ())]
        needed = {key for key, field in fields.items() if field["required"]}
        needed.update(name for name, _ in (checks.required if checks else ()))
        needed.update(choice.names[0] for choice in choices if choice.required and len(choice.names) == 1)
        if not needed <= fields.keys():
            raise Unassembled(cls.__name__)
        struct = msgspec.defstruct(
            cls.__name__,
            [
                *((_PREFIX + key, Any) for key in fields if key in needed),
                *((_PREFIX + key, Any, UNSET) for key in fields if key not in needed),
            ],
            namespace=_checking([choice for choice in choices if len(choice.names) > 1]),
            rename={_PREFIX + key: key for key in fields},
            tag_field="resourceType" if tag else None,
            tag=tag,
            forbid_unknown_fields=True,
            gc=False,
        )
        return {"type": "struct", "struct": struct, "fields": fields}


def _checking(choices: list[_Choice]) -> dict[str, Any]:
    """Return what a struct needs to look at its choices itself."""
    if not choices:
        return {}
    rules = [
        (attrgetter(*(_PREFIX + name for name in choice.names)), len(choice.names) - 1, choice.required)
        for choice in choices
    ]

    if len(rules) == 1:
        # Most have one, and no loop.
        only, others_of_one, required_of_one = rules[0]

        def check_one(struct: object) -> None:
            absent = only(struct).count(UNSET)
            if absent != others_of_one and (absent < others_of_one or required_of_one):
                raise ValueError("not one of a choice")

        return {"__post_init__": check_one}

    def check(struct: object) -> None:
        for values, others, required in rules:
            absent = values(struct).count(UNSET)
            if absent != others and (absent < others or required):
                raise ValueError("not one of a choice")

    return {"__post_init__": check}


def _primitive(schema: Schema) -> Any:  # noqa: ANN401
    match schema["type"]:
        case "str" if schema.get("pattern") in _TEXTS:
            return _TEXTS[schema.get("pattern")]
        case "bool":
            return bool
        case "int":
            return Annotated[int, Meta(ge=schema["ge"], le=schema["le"])]
        case "function-wrap":
            return _PYTHONS.get(python_primitive(schema), _NEVER)
        case _:
            return _NEVER
