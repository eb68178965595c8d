"""Fast path over parsed JSON: accepts a subset of what fhir.resources accepts.

Anything it rejects is validated again by the library.
Stricter than the library where that is cheaper (Python field names, JSON in strings, rare date forms), never laxer.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pydantic_core import core_schema as cs

from streams.bundles.validation.schema import Checks, Element, Schema, assemble, python_primitive

_YEAR = "[1-9][0-9]{3}"
_MONTH = "(?:0[1-9]|1[0-2])"
_DAY = f"(?:{_MONTH}-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_ZONE = "(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])"
# The everyday forms of https://hl7.org/fhir/R4/datatypes.html#dateTime and the like.
# They are seen by a regular expression in Rust; all others go the library's way through Python.
EVERYDAY_TIMES = {
    "Date": f"^{_YEAR}-{_DAY}$|^{_YEAR}(?:-{_MONTH})?$",
    "DateTime": f"^{_YEAR}-{_DAY}(?:T{_CLOCK}{_ZONE})?$|^{_YEAR}(?:-{_MONTH})?$",
    "Instant": f"^{_YEAR}-{_DAY}T{_CLOCK}{_ZONE}$",
    "Time": f"^{_CLOCK}$",
}
# An Extension has a hundred fields and nearly always one of these.
_EXTENSION_KEYS = frozenset(
    [
        "url",
        "id",
        "extension",
        "valueString",
        "valueCode",
        "valueCoding",
        "valueCodeableConcept",
        "valueDecimal",
        "valueBoolean",
        "valueReference",
        "valueIdentifier",
        "valueRelatedArtifact",
        "valueUri",
        "valueUrl",
        "valueDateTime",
        "valueAddress",
        "valueInteger",
        "valueQuantity",
    ]
)

# Choosing a shape costs about as much as looking up twenty fields (measured).
_SPARED_FIELDS_MIN = 20
_UNDERSCORE = b'"_'

FastPath: TypeAlias = Callable[[object, bytes], object]


def accepting(classes: Mapping[str, Any]) -> FastPath:
    """Return a check of a parsed resource and its bytes that raises unless the library would accept.

    Raise `Unassembled` if it cannot be built.
    """
    everything = assemble(classes, _Fast(underscored=True)).validate_python
    # Half of all fields are `_field`s, and hardly any resource has one: without them there is half as much to look up.
    plain = assemble(classes, _Fast(underscored=False)).validate_python

    def check(resource: object, raw: bytes) -> object:
        return everything(resource) if _UNDERSCORE in raw else plain(resource)

    return check


class _Fast:
    def __init__(self, *, underscored: bool) -> None:
        self._underscored = underscored

    def leaf(self, schema: Schema, element: Element) -> Schema:  # noqa: ARG002 - one shape for all rules
        if schema["type"] != "function-wrap":
            return schema
        quick = _quick(schema)
        return schema if quick is None else dict(cs.union_schema([quick, schema], mode="left_to_right"))

    def nested(self, schema: Schema, element: Element, *, data_type: str) -> Schema:  # noqa: ARG002
        return schema

    def nullable(self, schema: Schema, *, in_list: bool) -> Schema:  # noqa: ARG002
        return schema

    def listed(self, schema: Schema) -> Schema:
        return schema

    def object(self, cls: Any, fields: dict[str, Any], checks: Checks | None) -> Schema:  # noqa: ANN401
        """Return the schema; for an element with very many fields two, with the everyday ones and with all of them."""
        if not self._underscored:
            fields = {key: field for key, field in fields.items() if key[0] != "_"}
        everyday = everyday_fields(cls, fields)
        if len(fields) - len(everyday) < _SPARED_FIELDS_MIN:
            return _checked(_typed_dict(cls, fields), checks)

        def shape(value: object) -> str:
            return "everyday" if type(value) is dict and everyday.keys() >= value.keys() else "all"

        choices: Any = {
            "everyday": _checked(_typed_dict(cls, everyday), checks),
            "all": _checked(_typed_dict(cls, fields), checks),
        }
        return dict(cs.tagged_union_schema(choices, shape))


def everyday_fields(cls: Any, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Return those of an element's fields that it nearly always makes do with."""
    if cls.__name__ == "Extension":
        return {key: field for key, field in fields.items() if key in _EXTENSION_KEYS}
    return {key: field for key, field in fields.items() if field["required"] or "_" not in key}


def _typed_dict(cls: Any, fields: dict[str, Any]) -> Schema:  # noqa: ANN401
    return dict(cs.typed_dict_schema(fields, cls_name=cls.__name__, extra_behavior="forbid"))


def _checked(schema: Schema, checks: Checks | None) -> Schema:
    return schema if checks is None else dict(cs.no_info_after_validator_function(checks.function(), schema))


def _quick(schema: Schema) -> Any:  # noqa: ANN401 - a core schema
    """Return a schema for the everyday values of a primitive that the library checks in Python, if there is one."""
    name = python_primitive(schema)
    if name in EVERYDAY_TIMES:
        return cs.str_schema(pattern=EVERYDAY_TIMES[name], strict=True)
    if name == "Decimal":
        return cs.float_schema(allow_inf_nan=False, strict=True)
    if name == "Url" and schema["schema"]["type"] == "str":
        return cs.str_schema(strict=True)
    return None
