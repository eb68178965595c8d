"""The three that judge a resource - library, compiled check, lint - built once and tried before they are trusted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import orjson

from streams.bundles.validation import fast_bytes, fast_dict, lint
from streams.bundles.validation.fast_dict import FastCheck
from streams.bundles.validation.fhir_resources import Library, versions
from streams.bundles.validation.limits import Limits
from streams.bundles.validation.validator import Check, Checker, Level, Levels

_Built = TypeVar("_Built")

# The compiled check leans on private shapes of these: it is used only with the versions it was fuzzed with.
_FUZZED = {"fhir.resources": "8.3.0", "fhir-core": "1.1.12", "pydantic": "2.14"}

_EXAMPLES: tuple[dict[str, Any], ...] = (
    {"resourceType": "Patient", "birthDate": "1970-01-31", "gender": "female", "name": [{"given": ["A", None]}]},
    {"resourceType": "Patient", "birthDate": "1970-02-30"},
    {"resourceType": "Patient", "deceasedBoolean": False, "deceasedDateTime": "2020-01-01"},
    {"resourceType": "Patient", "link": [{"other": {"reference": "Patient/1"}}]},
    {"resourceType": "Patient", "name": [None]},
    {"resourceType": "Patient", "nickname": "x"},
    {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueQuantity": {"value": 1.5}},
    {"resourceType": "Observation", "status": "final"},
    {"resourceType": "Observation", "_status": {"extension": [{"url": "u", "valueCode": "x"}]}, "code": {"text": "x"}},
    {"resourceType": "Observation", "code": {"text": "x"}, "effectiveDateTime": "2016-12-31T23:59:60Z"},
    {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"code": "AMB"},
        "contained": [{"resourceType": "No"}],
    },
    {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": {"display": "x"}},
)


class Standards(msgspec.Struct, frozen=True):
    """How resources are to be judged; the same for every process."""

    level: Level = "structure"
    level_by_type: dict[str, Level] = {}
    resource_bytes_max: int = 16 * 2**20
    elements_max: int = 20_000
    depth_max: int = 64
    issues_max: int = 20
    fast: bool = True
    audit_one_in: int = 1000
    memory_bytes_max: int = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Judges:
    """Library, compiled check and lint. Without a compiled check the library judges alone, and slowly."""

    library: Library
    fast: FastCheck | None
    lint: Check | None

    def checker(self, standards: Standards) -> Checker:
        """Return a checker that judges by `standards`."""
        return Checker(
            self.library,
            levels=Levels(standards.level, standards.level_by_type),
            limits=Limits(
                standards.resource_bytes_max, standards.elements_max, standards.depth_max, standards.issues_max
            ),
            fast=self.fast if standards.fast else None,
            lint=self.lint,
            audit_one_in=standards.audit_one_in,
        )


def judges() -> Judges:
    """Build the judges. A compiled check or a lint that cannot be built, or disagrees with the library, is left out."""
    library = Library()
    fast = _built(_fast, library) if _is_fuzzed() else None
    if fast is not None and not _agrees(fast, library):
        fast = None
    return Judges(library, fast, _built(lint.warning, library))


def validator_id() -> str:
    """Return what decided a verdict, for the record."""
    return " ".join(f"{name}={version}" for name, version in versions().items()) + f" lint={lint.VERSION}"


def _fast(classes: Mapping[str, Any]) -> FastCheck:
    read, check = fast_bytes.accepting(classes), fast_dict.accepting(classes)

    def fast(resource: object, raw: bytes) -> object:
        try:
            return read(raw)
        except Exception:  # noqa: BLE001 - not an everyday resource, for whatever reason: a matter of time only
            return check(resource, raw)

    return fast


def _is_fuzzed() -> bool:
    found = versions()
    return all(found[name] == version or found[name].startswith(f"{version}.") for name, version in _FUZZED.items())


def _built(build: Callable[[Any], _Built], library: Library) -> _Built | None:
    try:
        return build(library.classes)
    except Exception:  # noqa: BLE001 - a shape of pydantic or fhir-core that is not known here, in whatever way it shows
        return None


def _agrees(fast: FastCheck, library: Library) -> bool:
    for example in _EXAMPLES:
        try:
            fast(example, orjson.dumps(example))
        except Exception:  # noqa: BLE001, S112 - a no of the compiled check means nothing
            continue
        if library.failure(example) is not None:
            return False
    return True
