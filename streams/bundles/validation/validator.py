"""Validate one resource. Nothing that arrives makes this raise.

The fast path accepts most; whatever it rejects, and a sample of what it accepts, goes to the library, which decides.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import orjson

from models.fhir_types import R4_ONLY_TYPES
from streams.bundles.resource.malformed import DUPLICATE_MEMBER, SENTENCES, has_duplicate_member, why_not_json
from streams.bundles.validation import issues as wrong
from streams.bundles.validation.fast_dict import FastPath
from streams.bundles.validation.fhir_resources import Library
from streams.bundles.validation.issues import Issue, Severity
from streams.bundles.validation.limits import Limits, exceeded

Level = Literal["off", "structure", "lint"]
Status = Literal["accepted", "flagged", "rejected", "unchecked"]
Check = Callable[[object], object]

_SHIMMED = b'"_value'


class Result(NamedTuple):
    """What validation found about one resource, and at which level it was looked at."""

    status: Status
    level: Level
    issues: tuple[Issue, ...] = ()

    @property
    def header(self) -> str:
        """The value of `x-validation`."""
        return f"{self.level} {self.status}"


# Nearly every result there is, made once.
_ACCEPTED: Mapping[Level, Result] = {level: Result("accepted", level) for level in ("off", "structure", "lint")}
ACCEPTED = _ACCEPTED["structure"]


@dataclass(frozen=True, slots=True)
class Levels:
    """How closely each type is looked at."""

    default: Level = "structure"
    by_type: Mapping[str, Level] = field(default_factory=dict)

    def of(self, resource_type: str) -> Level:
        """Return the level of one type."""
        return self.by_type.get(resource_type, self.default)


class Validator:
    """Validates resources, and counts what the fast path got wrong (which must stay 0)."""

    def __init__(
        self,
        library: Library,
        *,
        levels: Levels,
        limits: Limits,
        fast: FastPath | None = None,
        lint: Check | None = None,
        audit_one_in: int = 1000,
    ) -> None:
        self._library = library
        self._classes = library.classes
        self._levels = levels
        self._limits = limits
        self._fast = fast
        self._lint = lint
        self._audit_one_in = audit_one_in
        self._accepted = 0
        self.audited = 0
        self.mismatches = 0

    def use_library_only(self) -> None:
        """Stop using the fast path."""
        self._fast = None

    def validate(self, raw: bytes) -> tuple[Result, Any]:
        """Return the result for `raw`; and the parsed resource, if it is not rejected and says all that `raw` does."""
        if (limit := exceeded(raw, self._limits)) is not None:
            return Result("rejected", "structure", (wrong.of_limit("Resource", limit),)), None
        try:
            resource = orjson.loads(raw)
        except ValueError:
            return _malformed(why_not_json(raw)), None
        if not isinstance(resource, dict):
            return _unreadable("not_an_object", "A resource is an object."), None
        written = orjson.dumps(resource)
        if written != raw and has_duplicate_member(raw, written):
            return _malformed(DUPLICATE_MEMBER), None
        result = self._validate(resource, raw)
        return result, None if result.status == "rejected" or written != raw else resource

    def _validate(self, resource: dict[str, Any], raw: bytes) -> Result:
        resource_type = resource.get("resourceType")
        if not isinstance(resource_type, str):
            return _unreadable("no_resource_type", "A resource says its type.")
        level = self._levels.of(resource_type)
        if resource_type in R4_ONLY_TYPES:
            return Result("unchecked", level)
        if resource_type not in self._classes:
            return _unreadable("unknown_type", "FHIR 4.0.1 has no such resource.")
        if level == "off":
            return Result("unchecked", level)
        if not self._passes_fast(resource, raw) and (failure := self._failure(resource, raw)) is not None:
            found = self._issues(resource_type, failure, "error")
            return Result("rejected", level, found)
        return self._linted(resource, level) if level == "lint" else _ACCEPTED[level]

    def _passes_fast(self, resource: dict[str, Any], raw: bytes) -> bool:
        if self._fast is None:
            return False
        try:
            self._fast(resource, raw)
        except Exception:  # noqa: BLE001 - any failure here only means that the library has to look
            return False
        self._accepted += 1
        return self._accepted % self._audit_one_in != 0 or self._stands_audit(resource)

    def _stands_audit(self, resource: dict[str, Any]) -> bool:
        self.audited += 1
        if self._library.failure(resource) is None:
            return True
        self.mismatches += 1
        self.use_library_only()
        return False

    def _failure(self, resource: dict[str, Any], raw: bytes) -> Exception | None:
        failure = self._library.failure(resource)
        if failure is None or _SHIMMED not in raw:
            return failure
        # The library does not know `_valueX` of an Extension, which is right in FHIR: looked at without it.
        return failure if self._library.failure(_without_value_extensions(resource)) is not None else None

    def _issues(self, resource_type: str, failure: Exception, severity: Severity) -> tuple[Issue, ...]:
        return wrong.of_failure(
            resource_type,
            failure,
            severity=severity,
            issues_max=self._limits.issues_max,
            data_type=self._library.data_type,
        )

    def _linted(self, resource: dict[str, Any], level: Level) -> Result:
        if self._lint is None:
            return _ACCEPTED[level]
        try:
            self._lint(resource)
        except Exception as error:  # noqa: BLE001 - a lint that fails is a warning, too
            return Result("flagged", level, self._issues(resource["resourceType"], error, "warning"))
        return _ACCEPTED[level]


def _malformed(kind: str) -> Result:
    return _unreadable(kind, SENTENCES[kind])


def _unreadable(kind: str, text: str) -> Result:
    code = "not-supported" if kind == "unknown_type" else "structure"
    return Result("rejected", "structure", (Issue("fatal", code, kind, "Resource", text),))


def _without_value_extensions(resource: dict[str, Any]) -> dict[str, Any]:
    shimmed = copy.deepcopy(resource)
    _strip_value_extensions(shimmed, in_extension=False)
    return shimmed


def _strip_value_extensions(node: Any, *, in_extension: bool) -> None:  # noqa: ANN401 - any JSON
    if isinstance(node, list):
        for item in node:
            _strip_value_extensions(item, in_extension=in_extension)
    elif isinstance(node, dict):
        if in_extension:
            for key in [key for key in node if key.startswith("_value")]:
                del node[key]
        for key, value in node.items():
            _strip_value_extensions(value, in_extension=key in {"extension", "modifierExtension"})
