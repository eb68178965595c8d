"""Wrap fhir.resources: FHIR 4.0.1 resources, validated with its 4.3.0 (R4B) classes, one at a time.

The library raises far more than `ValidationError` on bad input, so nothing here lets an exception out but `Unlisted`.
"""

import importlib
import importlib.metadata
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, get_args, get_origin

from models.fhir_types import R4_ONLY_TYPES, R4_TYPES

FHIR_VERSION = "4.0.1"
ID_CHARS_MAX = 64  # https://hl7.org/fhir/R4/datatypes.html#id


class Library:
    """The resource classes by type name, imported once with the least memory."""

    def __init__(self) -> None:
        _prepare()
        self._classes = _classes()

    @property
    def classes(self) -> Mapping[str, Any]:
        """The class of each resource type that can be checked."""
        return self._classes

    def data_type(self, resource_type: str, location: Iterable[int | str]) -> str:
        """Return the name of FHIR's data type at a place in a resource; empty if there is none, or it depends."""
        cls, name = self._classes.get(resource_type), ""
        for part in location:
            if isinstance(part, int) or part in {"root", resource_type}:
                continue
            field = _field(cls, part) if cls is not None else None
            cls, name = _unwrapped(field.annotation) if field is not None else (None, "")
        return name

    def failure(self, resource: Mapping[str, Any]) -> Exception | None:
        """Return why the library refuses `resource`, or None if it takes it. The exception carries patient data."""
        try:
            self._classes[resource["resourceType"]].model_validate(resource)
        except Exception as error:  # noqa: BLE001 - KeyError, AttributeError, RecursionError: all mean "refused"
            return error
        return None


def versions() -> dict[str, str]:
    """Return the versions that decide a result."""
    return {name: importlib.metadata.version(name) for name in ("fhir.resources", "fhir-core", "pydantic")}


def _field(cls: Any, name: str) -> Any:  # noqa: ANN401 - pydantic's FieldInfo, or None
    fields = cls.model_fields
    return fields.get(name) or next((field for field in fields.values() if field.alias == name), None)


def _unwrapped(annotation: Any) -> tuple[Any, str]:  # noqa: ANN401
    """Return the class behind a field, if it is made of elements, and the name of its data type."""
    if hasattr(annotation, "get_model_klass"):
        cls = annotation.get_model_klass()
        return cls, str(cls.__name__)
    if get_origin(annotation) is Annotated:
        name = type(annotation.__metadata__[0]).__name__
        return None, name[:1].lower() + name[1:]
    inner = [each for each in get_args(annotation) if each is not type(None)]
    return _unwrapped(inner[0]) if inner else (None, getattr(annotation, "__name__", ""))


def _prepare() -> None:
    """Set what must be set before the first class is defined."""
    constraints: Any = importlib.import_module("fhir_core.constraints")
    constraints.TYPES_ID_MAX_LENGTH = ID_CHARS_MAX
    model: Any = importlib.import_module("fhir_core.fhirabstractmodel").FHIRAbstractModel
    # Half the memory and half the start, same verdicts: nested classes are built when data first needs them.
    model.set_global_model_config(defer_build=True)


def _classes() -> dict[str, Any]:
    importlib.import_module("fhir.resources.R4B.fhirtypes")
    paths: dict[str, str] = importlib.import_module("fhir_core.constraints").FHIR_TYPES_MAPS
    found: dict[str, Any] = {}
    for path in paths.values():
        module, _, name = path.rpartition(".")
        if ".R4B." in path and name in R4_TYPES - R4_ONLY_TYPES:
            found[name] = getattr(importlib.import_module(module), name)
    return found
