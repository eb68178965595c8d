"""Build one pydantic-core schema for any resource from the library's own field schemas.

The library leaves pydantic-core for every nested element and starts a new validation there. Here the same field schemas
are joined by reference, so that a resource is walked once. What a field, a list or an element may be beyond that is the
rules' business: `fast_dict` and `fast_bytes` have those of the fast paths, `lint` those of a second opinion.
This leans on private shapes of pydantic and fhir-core; both are pinned, and a shape not known raises `Unassembled`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from pydantic_core import PydanticCustomError, SchemaValidator
from pydantic_core import core_schema as cs

from models.errors import MetriportStreamsError

Schema: TypeAlias = dict[str, Any]
ANY_RESOURCE = "resource"
_WRAP = "FhirBase.__get_pydantic_core_schema__.<locals>._validate"


class Unassembled(MetriportStreamsError):
    """The library or pydantic has a shape that is not known here; the library alone must validate."""


@dataclass(frozen=True, slots=True)
class Element:
    """What the library says about one field beside its schema."""

    alias: str
    extra: Mapping[str, Any]


class Choice(NamedTuple):
    """`value[x]`: the names of which one may, or must, be there."""

    names: frozenset[str]
    required: bool


class Required(NamedTuple):
    """A primitive that must be there, or explained by an extension."""

    name: str
    extension: str | None


class Checks(NamedTuple):
    """What an element must have beside the right fields."""

    choices: tuple[Choice, ...]
    required: tuple[Required, ...]

    def function(self) -> Callable[[Any], Any]:
        """Return the check of an element as a dict, by the names it has in JSON."""
        return _check_of(self.choices, self.required)


class Rules(Protocol):
    """What is asked of the parts."""

    def leaf(self, schema: Schema, element: Element) -> Schema:
        """Return the schema of a primitive."""

    def nested(self, schema: Schema, element: Element, *, data_type: str) -> Schema:
        """Return the schema of a reference to an element of `data_type`."""

    def nullable(self, schema: Schema, *, in_list: bool) -> Schema:
        """Return the schema of something the library lets be null."""

    def listed(self, schema: Schema) -> Schema:
        """Return the schema of a list."""

    def object(self, cls: Any, fields: dict[str, Any], checks: Checks | None) -> Schema:  # noqa: ANN401
        """Return the schema of a whole element."""


class Definitions(NamedTuple):
    """The schemas of all elements by name, and the name of each resource type's."""

    schemas: dict[str, Schema]
    resources: dict[str, str]


def assemble(classes: Mapping[str, Any], rules: Rules) -> SchemaValidator:
    """Return a validator that takes any resource of `classes`, as a dict with its `resourceType`."""
    schemas, resources = definitions(classes, rules)
    references: Any = {name: cs.definition_reference_schema(reference) for name, reference in resources.items()}
    anything: Any = cs.tagged_union_schema(references, "resourceType", ref=ANY_RESOURCE)
    every: list[Any] = [anything, *({**schema, "ref": name} for name, schema in schemas.items())]
    return SchemaValidator(cs.definitions_schema(cs.definition_reference_schema(ANY_RESOURCE), every))


def definitions(classes: Mapping[str, Any], rules: Rules) -> Definitions:
    """Return the schemas of `classes` and of all they are made of; a resource of any type is called `ANY_RESOURCE`."""
    return _Assembly(rules).definitions(classes)


class _Assembly:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._definitions: dict[str, Schema] = {}
        self._waiting: list[tuple[str, Any]] = []

    def definitions(self, classes: Mapping[str, Any]) -> Definitions:
        resources = {name: self._reference(cls)["schema_ref"] for name, cls in classes.items()}
        while self._waiting:
            reference, cls = self._waiting.pop()
            self._definitions[reference] = self._object(cls)
        return Definitions(self._definitions, resources)

    def _reference(self, cls: Any) -> Any:  # noqa: ANN401 - a class of the library
        name = f"{cls.__module__}.{cls.__name__}"
        if name not in self._definitions:
            self._definitions[name] = {}
            self._waiting.append((name, cls))
        return cs.definition_reference_schema(name)

    def _object(self, cls: Any) -> Schema:  # noqa: ANN401
        fields: dict[str, Any] = {}
        schemas, before = _fields(cls)
        for name, field in schemas.items():
            element = Element(field.get("validation_alias", name), cls.model_fields[name].json_schema_extra or {})
            schema = field["schema"]
            required = schema["type"] != "default"
            converted: Any = self._convert(schema if required else schema["schema"], element)
            fields[element.alias] = cs.typed_dict_field(converted, required=required)
        if cls.has_resource_base():
            fields["resourceType"] = cs.typed_dict_field(cs.literal_schema([cls.__resource_type__]), required=False)
        whole: Any = self._rules.object(cls, fields, _after(cls))
        return dict(cs.no_info_before_validator_function(before, whole)) if before else dict(whole)

    def _convert(self, schema: Schema, element: Element, *, in_list: bool = False) -> Schema:
        match schema["type"]:
            case "function-wrap" if (source := _source(schema)) is not None:
                return self._nested(source, element)
            case "default":
                return {**schema, "schema": self._convert(schema["schema"], element)}
            case "nullable":
                inner = self._convert(schema["schema"], element)
                return self._rules.nullable({**schema, "schema": inner}, in_list=in_list)
            case "list":
                items = self._convert(schema["items_schema"], element, in_list=True)
                return self._rules.listed({**schema, "items_schema": items})
            case _:
                return self._rules.leaf(schema, element)

    def _nested(self, source: Any, element: Element) -> Schema:  # noqa: ANN401
        path: str = source._model_klass  # noqa: SLF001
        if path.endswith(".Resource"):
            reference: Any = cs.definition_reference_schema(ANY_RESOURCE)
            return dict(reference)
        if path.endswith(".Element"):
            raise Unassembled(path)
        data_type = path.rpartition(".")[2]
        return self._rules.nested(dict(self._reference(source.get_model_klass())), element, data_type=data_type)


def python_primitive(schema: Schema) -> str:
    """Return the library's name of a primitive that it checks in Python."""
    function = schema["function"]["function"]
    owner = getattr(function, "__self__", None)
    return str(owner.__name__) if owner is not None else getattr(function, "__qualname__", "").partition(".")[0]


def _source(schema: Schema) -> Any:  # noqa: ANN401
    """Return the library's type behind a wrapped schema, or None if it wraps a primitive."""
    function = schema["function"]["function"]
    if getattr(function, "__qualname__", "") != _WRAP:
        return None
    names = function.__code__.co_freevars
    return dict(zip(names, (cell.cell_contents for cell in function.__closure__), strict=True))["source_type"]


def _fields(cls: Any) -> tuple[dict[str, Schema], Callable[[Any], Any] | None]:  # noqa: ANN401
    """Return the field schemas of a class and its own check before them, from below the library's wrappers."""
    cls.model_rebuild()
    schema = cls.__pydantic_core_schema__
    before: Callable[[Any], Any] | None = None
    while schema["type"] != "model-fields":
        kind = schema["type"]
        if kind == "function-before":
            function = schema["function"]["function"]
            # Nulls in lists of elements: no element's schema takes one here.
            before = before if function.__name__ == "reject_null_complex_elements" else function
        elif kind not in {"definitions", "function-after", "model"}:
            raise Unassembled(f"{cls.__name__}: {kind}")
        schema = schema["schema"]
    return schema["fields"], before


def _after(cls: Any) -> Checks | None:  # noqa: ANN401
    """Return the check of choices and required primitives, by alias; None if the class has neither."""
    probe = cls.model_construct()
    aliases = {name: field.alias or name for name, field in cls.model_fields.items()}
    choices = tuple(
        Choice(
            frozenset(aliases[name] for name in names),
            cls.model_fields[names[0]].json_schema_extra["one_of_many_required"] is True,
        )
        for names in probe.get_one_of_many_fields().values()
    )
    required = tuple(
        Required(name, aliases[extension] if extension else None) for name, extension in probe.get_required_fields()
    )
    return Checks(choices, required) if choices or required else None


def _check_of(choices: tuple[Choice, ...], required: tuple[Required, ...]) -> Callable[[Any], Any]:
    def check(value: dict[str, Any]) -> dict[str, Any]:
        for name, extension in required:
            if value.get(name) is None and not (extension and (value.get(extension) or {}).get("extension")):
                raise PydanticCustomError("model_field_validation.missing", "required")
        for names, must in choices:
            given = names.intersection(value)
            if len(given) > 1:
                given = frozenset(name for name in given if value[name] is not None)
                if len(given) > 1:
                    raise PydanticCustomError("choice_many", "several of a choice")
            if must and not any(value[name] is not None for name in given):
                raise PydanticCustomError("choice_none", "none of a required choice")
        return value

    return check
