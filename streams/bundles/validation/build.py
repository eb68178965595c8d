"""Build the validators once: fhir.resources, the fast path and lint. Self-test the fast path before it is used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import orjson

from streams.bundles.validation import fast_bytes, fast_dict, lint
from streams.bundles.validation.fast_dict import FastPath
from streams.bundles.validation.fhir_resources import Library, versions
from streams.bundles.validation.limits import Limits
from streams.bundles.validation.validator import Check, Level, Levels, Validator

_Built = TypeVar("_Built")

# The fast path leans on private shapes of these: it is used only with the versions it was fuzzed with.
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
    """How resources are validated; the same for every process."""

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
class Validators:
    """Library, fast path and lint. Without a fast path the library validates alone, and slowly."""

    library: Library
    fast: FastPath | None
    lint: Check | None

    def validator(self, standards: Standards) -> Validator:
        """Return a validator that goes by `standards`."""
        return Validator(
            self.library,
            levels=Levels(standards.level, standards.level_by_type),
            limits=Limits(
                standards.resource_bytes_max, standards.elements_max, standards.depth_max, standards.issues_max
            ),
            fast=self.fast if standards.fast else None,
            lint=self.lint,
            audit_one_in=standards.audit_one_in,
        )


def validators() -> Validators:
    """Build the validators. A fast path or a lint that cannot be built, or disagrees with the library, is left out."""
    library = Library()
    fast = _built(_fast, library) if _is_fuzzed() else None
    if fast is not None and not _agrees(fast, library):
        fast = None
    return Validators(library, fast, _built(lint.warning, library))


def validator_id() -> str:
    """Return what decides a result: versions, for the manifest."""
    return " ".join(f"{name}={version}" for name, version in versions().items()) + f" lint={lint.VERSION}"


def _fast(classes: Mapping[str, Any]) -> FastPath:
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


def _agrees(fast: FastPath, library: Library) -> bool:
    for example in _EXAMPLES:
        try:
            fast(example, orjson.dumps(example))
        except Exception:  # noqa: BLE001, S112 - what the fast path rejects, the library may accept
            continue
        if library.failure(example) is not None:
            return False
    return True
