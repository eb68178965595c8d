"""What the wire models make of an object that is as known, made without them: each costs many times as much.

A leveller does what a model's fields and validators do and nothing else. A model that has anything more is left to
itself; that both make the same of everything is tested.
"""

from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from models import wire
from models.errors import MetriportStreamsError
from models.wire import Wire

_FUNCTIONS: tuple[Any, ...] = (wire.count, wire.names)


class Unlike(MetriportStreamsError):
    """The object is not quite as known after all."""


class Leveller:
    """Makes of an object of one wire model what its dump would be."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.defaults: dict[str, Any] = {}
        self.required: list[str] = []
        self.unset: list[str] = []
        self.functions: list[tuple[str, Callable[[Any], Any]]] = []
        self.objects: list[tuple[str, Leveller]] = []
        self.lists: list[tuple[str, Leveller]] = []
        self.has_source = False  # the one of which a network query has its status

    def level(self, part: Mapping[str, Any]) -> dict[str, Any]:
        """Return all fields by their aliases, and those passed on; raise `Unlike` if a text is empty that may not."""
        found = {**self.defaults, **part}
        if "" in part.values():
            self._unset(found)
        for name, function in self.functions:
            found[name] = function(found[name])
        for name, inner in self.objects:
            if found[name] is not None:
                found[name] = inner.level(found[name])
        for name, inner in self.lists:
            if found[name] is not None:
                found[name] = [inner.level(each) for each in found[name]]
        if self.has_source:
            found["status"] = found["source"]["status"]
        return found

    def _unset(self, found: dict[str, Any]) -> None:
        if any(found[name] == "" for name in self.required):
            raise Unlike
        found.update((name, None) for name in self.unset if found[name] == "")


def leveller(model: type[Wire]) -> Leveller | None:
    """Return what does a model's work, or None if nothing here does."""
    made = Leveller()
    made.names = {*model.passed_on, *(field.alias or name for name, field in model.model_fields.items())}
    made.has_source = issubclass(model, wire.NetworkQueryPayload)
    if (model.model_computed_fields and not made.has_source) or model.__pydantic_decorators__.model_validators:
        return None
    for name, field in model.model_fields.items():
        if not _field(made, field.alias or name, field):
            return None
    return made


def _field(made: Leveller, alias: str, field: FieldInfo) -> bool:
    """Take on what a field does; return whether that is all."""
    made.defaults[alias] = field.get_default(call_default_factory=True) if not field.is_required() else None
    validators: list[Any] = [each.func for each in field.metadata if isinstance(each, BeforeValidator)]
    if field.is_required():
        made.required.append(alias)
        return field.annotation is str and not validators
    if validators == [wire.unset]:
        made.unset.append(alias)
        return True
    if validators and validators[0] in _FUNCTIONS:
        made.functions.append((alias, validators[0]))
        return len(validators) == 1
    if validators:
        return validators == [wire.ids_by_source]
    kind = next(each for each in (*get_args(field.annotation), field.annotation) if each is not type(None))
    within = get_args(kind)[0] if get_origin(kind) is list else kind
    if isinstance(within, type) and issubclass(within, Wire):
        inner = leveller(within)
        if inner is not None:
            (made.objects if kind is within else made.lists).append((alias, inner))
        return inner is not None
    return kind in (dict[str, Any], list[Any], list[dict[str, Any]])
