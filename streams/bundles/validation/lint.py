"""Warn of what the library knows and does not enforce: a second opinion, which never decides.

Required bindings (https://hl7.org/fhir/R4/terminologies.html#required), reference targets, nothing empty,
nothing null, JSON's own booleans, numbers and texts.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import PydanticCustomError
from pydantic_core import core_schema as cs

from models.fhir_types import R4_TYPES
from streams.bundles.validation.schema import Checks, Element, Schema, assemble, python_primitive

VERSION = "2"
_TEXTUAL = ("Date", "DateTime", "Instant", "Time")
_CUT_OFF = "+"  # the library's mark for a list of codes it did not list in full: enforcing it would warn of good codes


def warning(classes: Mapping[str, Any]) -> Callable[[object], object]:
    """Return a check that raises pydantic's `ValidationError` on what looks wrong."""
    return assemble(classes, _Strict()).validate_python


class _Strict:
    def leaf(self, schema: Schema, element: Element) -> Schema:
        kind = schema["type"]
        if kind in {"bool", "int"}:
            return {**schema, "strict": True}
        if kind == "function-wrap" and python_primitive(schema) in _TEXTUAL:
            return dict(cs.chain_schema([cs.str_schema(strict=True), schema]))
        if kind == "str":
            return _text(schema, element)
        return schema

    def nested(self, schema: Schema, element: Element, *, data_type: str) -> Schema:
        targets = element.extra.get("enum_reference_types")
        if data_type != "Reference" or not targets or "Resource" in targets:
            return schema
        return dict(cs.no_info_after_validator_function(_target(frozenset(targets)), schema))

    def nullable(self, schema: Schema, *, in_list: bool) -> Schema:
        # In a list a null holds the place of a value that has only an extension.
        inner: Schema = schema["schema"]
        return schema if in_list else inner

    def listed(self, schema: Schema) -> Schema:
        return {**schema, "min_length": 1, "strict": True}

    def object(self, cls: Any, fields: dict[str, Any], checks: Checks | None) -> Schema:  # noqa: ANN401
        known = {key: field for key, field in fields.items() if key != "fhir_comments"}
        schema: Any = cs.typed_dict_schema(known, cls_name=cls.__name__, extra_behavior="forbid")
        if checks is not None:
            schema = cs.no_info_after_validator_function(checks.function(), schema)
        return dict(cs.no_info_after_validator_function(_something, schema))


def _text(schema: Schema, element: Element) -> Schema:
    codes = element.extra.get("enum_values")
    if codes and _CUT_OFF not in codes:
        return dict(cs.literal_schema(list(codes)))
    if schema.get("pattern") == r"\S*":
        return {**schema, "pattern": r"^\S+$"}
    return schema


def _something(value: Any) -> Any:  # noqa: ANN401
    if not value:
        raise PydanticCustomError("empty_element", "an element without content")
    return value


def _target(allowed: frozenset[str]) -> Callable[[Any], Any]:
    def check(value: dict[str, Any]) -> dict[str, Any]:
        reference = value.get("reference")
        found = _type_of(reference) if isinstance(reference, str) else ""
        if found and found not in allowed:
            raise PydanticCustomError("reference_target", "a reference to a type that may not stand here")
        return value

    return check


def _type_of(reference: str) -> str:
    """Return the type that a reference points at; empty if that cannot be seen.

    `Type/id`, `Type?search`, or either behind the address of a server; any other address may be of anything.
    https://hl7.org/fhir/R4/references.html#literal, https://hl7.org/fhir/R4/http.html#trules
    """
    if reference.startswith(("#", "urn:")):
        return ""
    path, _, search = reference.partition("?")
    parts = path.partition("/_history/")[0].split("/")
    found = parts[-1] if search else parts[-2] if len(parts) > 1 else ""
    return found if found in R4_TYPES or "://" not in reference else ""
