"""Say what is wrong with a resource, as a FHIR OperationOutcome, without saying what was in it.

The library's own messages quote values, so none is passed on: an issue is a code, a kind, a place, and a sentence of
ours.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

import orjson
from pydantic import ValidationError

Severity = Literal["fatal", "error", "warning", "information"]

_NAME = re.compile(r"^_?[A-Za-z][A-Za-z0-9]{0,31}$")  # the longest of FHIR's has 29
_INTERNAL = frozenset({"root", "resource_type"})

# pydantic's kind: what we say, and FHIR's code of https://hl7.org/fhir/R4/valueset-issue-type.html.
_MEANINGS: dict[str, tuple[str, str]] = {
    "missing": ("required", "A required element is missing."),
    "model_field_validation.missing": ("required", "A required element is missing."),
    "extra_forbidden": ("structure", "FHIR 4.0.1 does not have this element here."),
    "unnamed": ("structure", "This element holds one that FHIR 4.0.1 does not have here."),
    "list_type": ("structure", "A list is expected."),
    "model_type": ("structure", "An object is expected."),
    "dict_type": ("structure", "An object is expected."),
    "model_validation_format": ("structure", "An element of another kind is expected."),
    "fhir-validation-wrong-resource-type": ("structure", "A resource of another type is expected."),
    "json_invalid": ("structure", "An object is expected, not a text."),
    "string_pattern_mismatch": ("value", "The text does not have the form this data type asks for."),
    "literal_error": ("code-invalid", "The code is not one of those FHIR 4.0.1 binds here."),
    "empty_element": ("structure", "An element without content."),
    "reference_target": ("structure", "A reference to a type that may not stand here."),
    "too_short": ("structure", "An empty list."),
}
_SAY_ALL = frozenset({"extra_forbidden", "unnamed", "empty_element", "too_short", "reference_target", "choice_many"})
_CHOICE_NONE = ("required", "One of the types of a choice is required.")
_CHOICE_MANY = ("structure", "Only one of the types of a choice may be there.")
_VALUE = ("value", "The value is not one of this data type.")
_KINDS_SYSTEM = "https://docs.pydantic.dev/errors"
_LIMIT = "The resource is over a limit: {}."


DataType: TypeAlias = Callable[[str, tuple[int | str, ...]], str]


class Issue(NamedTuple):
    """One thing that is wrong."""

    severity: Severity
    code: str
    kind: str
    expression: str
    text: str


def of_limit(resource_type: str, limit: str) -> Issue:
    """Return the issue of a resource that costs more than it may."""
    return Issue("fatal", "too-costly", limit, resource_type, _LIMIT.format(limit))


def of_failure(
    resource_type: str,
    failure: Exception,
    *,
    severity: Severity,
    issues_max: int,
    data_type: DataType = lambda _type, _location: "",
) -> tuple[Issue, ...]:
    """Return the issues behind what the library raised; `data_type` says what is expected at a place."""
    if not isinstance(failure, ValidationError):
        return (_crash(resource_type, failure),)
    items = failure.errors(include_input=False, include_context=False, include_url=False)
    found = tuple(_issue(resource_type, item, severity, data_type) for item in items[:issues_max])
    if len(items) > issues_max:
        more = f"{len(items) - issues_max} more issues are not listed."
        return (*found, Issue("information", "informational", "more", resource_type, more))
    return found


def _issue(resource_type: str, item: Any, severity: Severity, data_type: DataType) -> Issue:  # noqa: ANN401 - pydantic's ErrorDetails
    kind: str = item["type"]
    location = item["loc"]
    if kind == "extra_forbidden" and not _NAME.match(str(location[-1])):
        kind, location = "unnamed", location[:-1]
    if kind in {"value_error", "choice_none", "choice_many"}:
        message = item["msg"]
        none, many = (
            kind == "choice_none" or "Expect any of" in message,
            kind == "choice_many" or "Any of one" in message,
        )
        code, text = _CHOICE_NONE if none else _CHOICE_MANY if many else _VALUE
    else:
        code, text = _MEANINGS.get(kind, _VALUE)
    says_all = kind in _SAY_ALL or code in {"required", "code-invalid"}
    if not says_all and (expected := data_type(resource_type, location)):
        text += f" Expected: {expected}."
    return Issue(severity, code, kind, expression(resource_type, location), text)


def expression(resource_type: str, location: tuple[int | str, ...]) -> str:
    """Return the place as FHIRPath, from names the library knows and positions."""
    path = resource_type
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part in _INTERNAL or part == resource_type or not _NAME.match(part):
            continue
        else:
            path += f".{part[1:]}.extension" if part[0] == "_" else f".{part}"
    return path


def _crash(resource_type: str, failure: Exception) -> Issue:
    name = type(failure).__name__
    code = {"RecursionError": "too-costly", "MemoryError": "too-costly", "KeyError": "not-supported"}.get(
        name, "exception"
    )
    return Issue("fatal", code, name, resource_type, "The resource cannot be read as FHIR 4.0.1.")


def operation_outcome(issues: Iterable[Issue]) -> bytes:
    """Return `issues` as an OperationOutcome in JSON (https://hl7.org/fhir/R4/operationoutcome.html)."""
    entries = [
        {
            "severity": issue.severity,
            "code": issue.code,
            "details": {"coding": [{"system": _KINDS_SYSTEM, "code": issue.kind}], "text": issue.text},
            "expression": [issue.expression],
        }
        for issue in issues
    ]
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": entries})
