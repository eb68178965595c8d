"""What a message is known to look like, compiled from the wire models: fields, JSON types, values, what never lacks.

A `Shape` says it for one place of a body. `reader` makes of it a type that msgspec reads in C and that takes exactly
what is known: whatever it takes needs no closer look.
"""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Never, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

import msgspec

from models import messages
from models.messages import MessageType
from models.sent import Sent
from models.wire import Meta, PatientEntry, Wire

Part = Literal["patients", "payload", "bulkPatientCreate"]

_T = TypeVar("_T")
_NUMBER = frozenset({int, float})  # JSON has one kind
_PLAIN: Mapping[Any, frozenset[type]] = {
    str: frozenset({str}),
    int: _NUMBER,
    float: _NUMBER,
    bool: frozenset({bool}),
    type(None): frozenset({type(None)}),
}


@dataclass(frozen=True, eq=False)
class Shape:
    """What is known of one place; `kinds` are the Python types of its values, none of them: anything may stand here.

    An object has `fields`, or `each`: any name, and behind it that. A list has `items`.
    """

    kinds: frozenset[type] = frozenset()
    values: frozenset[str] | None = None
    fields: Mapping[str, "Shape"] | None = None
    always: frozenset[str] = frozenset()
    each: "Shape | None" = None
    items: "Shape | None" = None

    @property
    def optional(self) -> tuple[str, ...]:
        """The fields that some messages lack, in order."""
        return tuple(name for name in self.fields or () if name not in self.always)


ANYTHING = Shape()


@dataclass(frozen=True, eq=False)
class Message:
    """What is known of a message type: its `meta`, and the object under `part` (of `patients`, each one)."""

    name: str
    part: Part
    meta: Shape
    entry: Shape
    names: frozenset[str]  # of all fields of its wire models, in this message or in others
    read_meta: Any = field(repr=False)
    read_entry: Any = field(repr=False)


def message(kind: MessageType) -> Message:
    """Return what is known of a message type; it takes some milliseconds."""
    part: Part = "patients" if issubclass(kind.wire, PatientEntry) else "payload"
    if kind.scope == "bulk":
        part = "bulkPatientCreate"
    entry = shape(kind.wire)
    return Message(kind.name, part, META, entry, frozenset(_names(kind.wire)), READ_META, reader(entry))


def shape(annotation: Any) -> Shape:  # noqa: ANN401, PLR0911 - whatever a type can be written as
    """Return what a type says of a place."""
    if annotation is Any:
        return ANYTHING
    origin = get_origin(annotation)
    if origin is Annotated:
        return shape(_sent(annotation.__metadata__, annotation.__origin__).shape)
    if origin in (Union, types.UnionType):
        return _either([shape(each) for each in get_args(annotation)])
    if origin is Literal:
        return Shape(_PLAIN[str], values=frozenset(get_args(annotation)))
    if origin is list:
        return Shape(frozenset({list}), items=shape(get_args(annotation)[0]))
    if origin is dict:
        return Shape(frozenset({dict}), each=shape(get_args(annotation)[1]))
    if is_typeddict(annotation):
        fields = {name: shape(each) for name, each in get_type_hints(annotation).items()}
        return Shape(frozenset({dict}), fields=fields, always=frozenset(annotation.__required_keys__))
    if isinstance(annotation, type) and issubclass(annotation, Wire):
        return _object(annotation)
    return Shape(_PLAIN[annotation]) if annotation in _PLAIN else ANYTHING


def reader(known: Shape) -> Any:  # noqa: ANN401 - a type
    """Return a type that msgspec converts exactly what is known to."""
    if known is ANYTHING:
        return Any
    kinds: list[Any] = []
    if known.values is not None:
        kinds.append(Literal[tuple(sorted(known.values))])
    elif str in known.kinds:
        kinds.append(str)
    kinds += [each for each in (int, float, bool, type(None)) if each in known.kinds]
    if known.items is not None:
        kinds.append(list.__class_getitem__(reader(known.items)))
    if known.each is not None:
        kinds.append(dict.__class_getitem__((str, reader(known.each))))
    if known.fields is not None:
        kinds.append(_struct(known.fields, known.always))
    return Union[tuple(kinds)]  # noqa: UP007 - made while running


def _struct(fields: Mapping[str, Shape], always: frozenset[str]) -> type[msgspec.Struct]:
    """Return a struct with a field `f<number>` per name; those that must be there come first."""
    names = sorted(fields, key=lambda name: name not in always)
    attributes = {name: f"f{number}" for number, name in enumerate(names)}
    return msgspec.defstruct(
        "Known",
        [
            (attributes[name], reader(fields[name]))
            if name in always
            else (attributes[name], reader(fields[name]) | msgspec.UnsetType, msgspec.UNSET)
            for name in names
        ],
        rename={attributes[name]: name for name in names},
        forbid_unknown_fields=True,
        frozen=True,
        gc=False,
    )


def _object(model: type[Wire]) -> Shape:
    fields, always = dict[str, Shape](), set[str]()
    for name, told in model.model_fields.items():
        # Of a field without `Sent`, None is what it is when it was not told, and nothing that is sent.
        sent = _sent(told.metadata, told.annotation)
        alias = told.alias or name
        if sent.shape is not Never:
            fields[alias] = shape(sent.shape)
        if sent.always or told.is_required():
            always.add(alias)
    fields |= {name: shape(sent.shape) for name, sent in model.passed_on.items()}
    return Shape(frozenset({dict}), fields=fields, always=frozenset(always))


def _names(model: type[Wire]) -> Iterator[str]:
    for name, told in model.model_fields.items():
        yield told.alias or name
        for each in (told.annotation, *get_args(told.annotation)):
            for within in (each, *get_args(each)):
                if isinstance(within, type) and issubclass(within, Wire):
                    yield from _names(within)


def _sent(metadata: Any, otherwise: Any) -> Sent:  # noqa: ANN401 - a type
    said = [each for each in metadata if isinstance(each, Sent)]
    return said[-1] if said else Sent(_told(otherwise))


def _told(annotation: Any) -> Any:  # noqa: ANN401 - a type
    parts = [each for each in get_args(annotation) if each is not type(None)]
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return Union[tuple(parts)] if is_union else annotation  # noqa: UP007 - made while running


def _either(shapes: list[Shape]) -> Shape:
    def one(found: list[_T]) -> _T | None:
        assert len(found) <= 1, "a place can have one kind of object, of list and of values"
        return found[0] if found else None

    objects = [each for each in shapes if each.fields is not None]
    return Shape(
        frozenset[type]().union(*(each.kinds for each in shapes)),
        values=one([each.values for each in shapes if each.values is not None]),
        fields=one([each.fields for each in objects if each.fields is not None]),
        always=frozenset[str]().union(*(each.always for each in objects)),
        each=one([each.each for each in shapes if each.each is not None]),
        items=one([each.items for each in shapes if each.items is not None]),
    )


META = shape(Meta)
READ_META = reader(META)


def knows_now(name: str, path: str, kind: str) -> bool:
    """Return whether what differed for an earlier release is known to this one: a type, or a field."""
    told = messages.TYPES.get(name)
    if told is None or kind not in {"unknown_type", "unknown_field"}:
        return False
    return kind == "unknown_type" or _has(message(told), path)


def _has(told: Message, path: str) -> bool:
    parts = {"meta": told.meta, told.part: Shape(items=told.entry, fields=told.entry.fields)}
    at: Shape | None = Shape(fields=parts)
    for step in path.replace("[]", ".[]").split("."):
        if at is None:
            return False
        at = at.items if step == "[]" else (at.fields or {}).get(step, at.each)
    return at is not None
