"""Where a delivery differs from what is known, and which of the fields that may lack it has. Pure.

A delivery that is as known is recognised by one reading in C. Only another is walked through, at most `values_max` of
its values, and at most `differences_max` differences are told apart.

A path is made of names that the models know, `[]` for the places of a list and `*` for the names of an open map. The
first name that is not known ends it, and is written only if it looks like one that a program has: anything else might
be a patient's.
"""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from models import known, messages, topics
from models.known import Message, Shape
from models.messages import MessageType
from models.states import DriftKind

STATE_PREFIX = b"d/"
MASK = "*"
TYPE_PATH = "meta.type"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_DIGITS = re.compile(r"[0-9]+")
_TYPE = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+){0,7}")
_TYPE_MAX = 64
_DIGITS_MAX = 3  # sha256, icd10Code; a number of more is an id or a date
_GROUPS_MAX = 2  # of digits, one after another; an id in hexadecimal has more
_LOOKED_AT = 2  # entries of a list in which a field that may lack is looked for
_MEMORY_MAX = 256  # combinations of names that are remembered, of each object
_NAMES_CHARACTERS_MAX = 1024  # of each combination
_MEANS_ANOTHER = {"messageId", "type", "when", "requestId", "receivedAt", "metadata"}  # of the delivery itself
_PARTS = 2  # of a body: `meta`, and what it is about


class Difference(NamedTuple):
    """One difference; never a value."""

    kind: DriftKind
    path: str


class Look(msgspec.Struct, frozen=True):
    """What was seen of one delivery: `type` as it may be told, the differences, the fields that may lack.

    Of those, bit n is the nth of `Sentinel.optional_paths`: `asked` where the object that may have it came, `present`
    where the field did.
    """

    type: str
    key: bytes  # of the state in which it is remembered
    is_known: bool = True
    is_as_known: bool = False  # in all that is known; fields that are not may have come as well
    differences: tuple[Difference, ...] = ()
    asked: int = 0
    present: int = 0


class Sentinel:
    """Compares deliveries with what is known."""

    def __init__(self, *, values_max: int = 20_000, differences_max: int = 100) -> None:
        self._values_max = values_max
        self._differences_max = differences_max
        self._types: dict[str, _Type] = {}

    def look(self, body: Mapping[str, Any], index: int | None) -> Look:
        """Compare a delivery's entry `index`, and its envelope unless that was looked at with its first entry."""
        meta = body.get("meta")
        name = meta.get("type") if isinstance(meta, dict) else None
        kind = messages.TYPES.get(name) if isinstance(name, str) else None
        if kind is None:
            return self._unknown(body, name, index)
        compiled = self._types.get(kind.name) or self._compiled(kind)
        message = compiled.message
        entry = _entry(body, message, index)
        bits = compiled.optional.seen(None if index else meta, entry)
        if len(body) == _PARTS and _reads(meta, message.read_meta) and _reads(entry, message.read_entry):
            return compiled.alike.get(bits) or _remember(compiled, bits)
        differences = self._walk().result(lambda walk: compiled.check(body, index, entry, walk))
        # With a later entry the envelope was not looked at.
        is_as_known = not index and isinstance(entry, dict) and all(_only_adds(each, message) for each in differences)
        return Look(kind.name, compiled.key, True, is_as_known, differences, *bits)  # noqa: FBT003

    def _walk(self) -> "_Walk":
        return _Walk(self._values_max, self._differences_max)

    def optional_paths(self, name: str) -> Sequence[str]:
        """Return the paths of the fields that messages of this known type may lack."""
        return (self._types.get(name) or self._compiled(messages.TYPES[name])).optional.paths

    def _compiled(self, kind: MessageType) -> "_Type":
        return self._types.setdefault(kind.name, _Type(kind))

    def _unknown(self, body: Mapping[str, Any], name: object, index: int | None) -> Look:
        differences = () if index else self._walk().result(lambda walk: _check_envelope(body, name, walk))
        return Look(shown_type(name), state_key(topics.UNRECOGNISED), is_known=False, differences=differences)


class _Type:
    """What is known of a message type, and what was seen of deliveries that are as known, by their bits."""

    def __init__(self, kind: MessageType) -> None:
        self.key = state_key(kind.name)
        self.message = message = known.message(kind)
        self.optional = Optional(message)
        self.alike: dict[tuple[int, int], Look] = {}
        self._is_list = message.part == "patients"
        body = {"meta": message.meta, message.part: known.ANYTHING}
        self._body = _Node(Shape(fields=body, always=frozenset(body)), "")
        self._entry = _Node(message.entry, message.part + ("[]" if self._is_list else ""))
        self._no_list = Difference("other_json_type", message.part)

    def check(self, body: Mapping[str, Any], index: int | None, entry: object, walk: "_Walk") -> None:
        """Note how a delivery differs: its entry, and its envelope if that is the first one."""
        if not index:
            self._body.check_object(body, walk)
        part = body.get(self.message.part, walk)
        if part is walk:
            return
        if self._is_list and not isinstance(part, list):
            walk.add(self._no_list)
        elif entry is not None or not self._is_list:
            self._entry.check(entry, walk)


class Optional:
    """The fields that messages of one type may lack, wherever they stand."""

    def __init__(self, message: Message) -> None:
        self.paths: list[str] = []
        self._meta = self._place(message.meta, "meta")
        self._entry = self._place(message.entry, message.part + ("[]" if message.part == "patients" else ""))

    def seen(self, meta: object, entry: object) -> tuple[int, int]:
        """Return the bits of what was asked for, and of what is present, in these two objects."""
        asked, present = self._entry.seen(entry)
        if meta is None:
            return asked, present
        more_asked, more_present = self._meta.seen(meta)
        return asked | more_asked, present | more_present

    def _place(self, shape: Shape, path: str) -> "_Place":
        place = _Place()
        for name, inner in (shape.fields or {}).items():
            at = f"{path}.{name}"
            if name not in shape.always:
                place.bits[name] = 1 << len(self.paths)
                self.paths.append(at)
            before = len(self.paths)
            if inner.fields is not None:
                within = name, False, self._place(inner, at)
            elif inner.items is not None and inner.items.fields is not None:
                within = name, True, self._place(inner.items, f"{at}[]")
            else:
                continue
            if len(self.paths) > before:
                place.inner.append(within)
        place.all = sum(place.bits.values())
        return place


class _Place:
    """One kind of object within a message."""

    __slots__ = ("_memory", "all", "bits", "inner")

    def __init__(self) -> None:
        self.bits: dict[str, int] = {}
        self.all = 0
        self.inner: list[tuple[str, bool, _Place]] = []
        self._memory: dict[tuple[str, ...], tuple[int, tuple[tuple[str, bool, _Place], ...]]] = {}

    def seen(self, value: object) -> tuple[int, int]:
        """Return what was asked for and is present in an object and within it."""
        if not isinstance(value, dict):
            return 0, 0
        names = tuple(value)
        present, inner = self._memory.get(names) or self._look(names)
        asked = self.all
        for name, is_list, place in inner:
            within = value[name]
            if not is_list:
                more_asked, more_present = place.seen(within)
                asked |= more_asked
                present |= more_present
            elif isinstance(within, list):
                for each in within[:_LOOKED_AT]:
                    more_asked, more_present = place.seen(each)
                    asked |= more_asked
                    present |= more_present
        return asked, present

    def _look(self, names: tuple[str, ...]) -> tuple[int, tuple[tuple[str, bool, "_Place"], ...]]:
        bits = sum(bit for name, bit in self.bits.items() if name in names)
        found = bits, tuple(each for each in self.inner if each[0] in names)
        if sum(map(len, names)) <= _NAMES_CHARACTERS_MAX:
            if len(self._memory) >= _MEMORY_MAX:
                self._memory.clear()
            self._memory[names] = found
        return found


def state_key(label: str) -> bytes:
    """Return the key of the state of one type; all that are not known have one together."""
    return STATE_PREFIX + label.encode()


def shown(name: str) -> str:
    """Return a field's name if it looks like one that a program has, else the mask."""
    return name if _NAME.fullmatch(name) and _has_few_digits(name) else MASK


def shown_type(name: object) -> str:
    """Return a message type's name if it looks like one, else the mask."""
    looks = isinstance(name, str) and len(name) <= _TYPE_MAX and _TYPE.fullmatch(name) and _has_few_digits(name)
    return str(name) if looks else MASK


def _has_few_digits(name: str) -> bool:
    if name.isalpha():
        return True
    groups = _DIGITS.findall(name)
    return len(groups) <= _GROUPS_MAX and sum(map(len, groups)) <= _DIGITS_MAX


def _check_envelope(body: Mapping[str, Any], name: object, walk: "_Walk") -> None:
    """Note what a delivery of an unknown type, or of none, has in its envelope."""
    if isinstance(name, str) and name:
        walk.add(Difference("unknown_type", TYPE_PATH))
    if "meta" in body:
        _META.check(body["meta"], walk)
    else:
        walk.add(Difference("missing_field", "meta"))


def _only_adds(difference: Difference, message: Message) -> bool:
    """Return whether it is a field that does nothing to those that are known, such as to have a name that means one."""
    name = difference.path.rpartition(".")[2]
    return (
        difference.kind == "unknown_field"
        and name not in _MEANS_ANOTHER
        and name not in message.names
        and "_" not in name
        and name != MASK
    )


def _remember(compiled: _Type, bits: tuple[int, int]) -> Look:
    look = Look(compiled.message.name, compiled.key, is_as_known=True, asked=bits[0], present=bits[1])
    if len(compiled.alike) >= _MEMORY_MAX:
        compiled.alike.clear()
    compiled.alike[bits] = look
    return look


def _reads(part: object, reader: Any) -> bool:  # noqa: ANN401 - a type
    try:
        msgspec.convert(part, reader)
    except (msgspec.ValidationError, RecursionError):
        return False
    return True


def _entry(body: Mapping[str, Any], message: Message, index: int | None) -> object:
    """Return the part that speaks of the patient; None if it is not there, or cannot be told from others."""
    part = body.get(message.part)
    if message.part != "patients" or not isinstance(part, list):
        return part
    return part[index or 0] if len(part) > (index or 0) and (index is not None or len(part) == 1) else None


class _Enough(Exception):
    """No more is looked at."""


class _Walk:
    """Collects the differences of one delivery, each once, in order."""

    def __init__(self, values_max: int, differences_max: int) -> None:
        self._found: dict[Difference, None] = {}
        self.left = values_max
        self.most = differences_max

    def result(self, look: Callable[["_Walk"], None]) -> tuple[Difference, ...]:
        """Return what `look` found, and whether there is more than that."""
        try:
            look(self)
        except _Enough:
            return (*self._found, Difference("too_many", MASK))
        return tuple(self._found)

    def spend(self, values: int) -> None:
        """Count values that are looked at."""
        self.left -= values
        if self.left < 0:
            raise _Enough

    def add(self, difference: Difference) -> None:
        """Note a difference."""
        if difference not in self._found:
            if len(self._found) >= self.most:
                raise _Enough
            self._found[difference] = None


class _Plan(NamedTuple):
    """What there is to say of an object with these names and kinds of values, and what to look at within it."""

    differences: tuple[Difference, ...]
    inner: tuple[tuple[str, "_Node"], ...]


class _Node:
    """What is known of one place, and the path of it."""

    __slots__ = (
        "_always",
        "_each",
        "_fields",
        "_items",
        "_kinds",
        "_memory",
        "_odd",
        "_path",
        "_values",
        "_wrong",
        "is_object",
    )

    def __init__(self, shape: Shape, path: str) -> None:
        prefix = f"{path}." if path else ""
        self._path = prefix
        self._kinds = shape.kinds
        self._values = shape.values
        self._always = shape.always
        self._fields = None
        if shape.fields is not None:
            self._fields = {name: _Node(inner, prefix + name) for name, inner in shape.fields.items()}
        self.is_object = self._fields is not None and self._kinds == {dict}
        self._each = _Node(shape.each, prefix + MASK) if shape.each else None
        self._items = _Node(shape.items, f"{path}[]") if shape.items else None
        self._wrong = Difference("other_json_type", path)
        self._odd = Difference("unknown_value", path)
        self._memory: dict[Any, _Plan] = {}

    def check(self, value: object, walk: _Walk) -> None:
        """Note how a value differs."""
        if not self._kinds:
            return
        kind = _kind(value)
        if kind not in self._kinds:
            walk.add(self._wrong)
        elif isinstance(value, str):
            if self._values is not None and value not in self._values:
                walk.add(self._odd)
        elif isinstance(value, dict):
            self.check_object(value, walk)
        elif isinstance(value, list) and self._items is not None:
            walk.spend(len(value))
            check = self._items.check_object if self._items.is_object else self._items.check
            for each in value:
                (check if isinstance(each, dict) else self._items.check)(each, walk)

    def check_object(self, value: Mapping[str, Any], walk: _Walk) -> None:
        """Note how an object differs, and what is in it."""
        size = len(value)
        if size > walk.left:
            self._check_some(dict(itertools.islice(value.items(), walk.left)), walk)
            raise _Enough
        walk.left -= size
        if self._fields is None:
            if self._each is not None:
                for each in value.values():
                    self._each.check(each, walk)
            return
        names = (tuple(value), tuple(map(type, value.values())))
        plan = self._memory.get(names) or self._planned(self._fields, value, names, walk.most)
        for difference in plan.differences:
            walk.add(difference)
        for name, node in plan.inner:
            node.check(value[name], walk)

    def _check_some(self, value: Mapping[str, Any], walk: _Walk) -> None:
        """Note how those fields differ that can be looked at; what lacks is beyond them."""
        for difference in self._planned(self._fields or {}, value, None, walk.most).differences:
            if difference.kind != "missing_field":
                walk.add(difference)

    def _planned(
        self,
        fields: Mapping[str, "_Node"],
        value: Mapping[str, Any],
        names: tuple[tuple[str, ...], Any] | None,
        most: int,
    ) -> _Plan:
        differences, inner = dict[Difference, None](), []
        for name, each in value.items():
            node = fields.get(name)
            if node is not None:
                if node.is_looked_at(_kind(each)):
                    inner.append((name, node))
            elif self._fields is not None:
                differences[Difference("unknown_field", self._path + shown(name))] = None
                if len(differences) > most:  # nobody is told of more
                    return _Plan(tuple(differences), ())
        for name in sorted(self._always - value.keys()):
            differences[Difference("missing_field", self._path + name)] = None
        plan = _Plan(tuple(differences), tuple(inner))
        if names is not None and sum(map(len, value)) <= _NAMES_CHARACTERS_MAX:
            if len(self._memory) >= _MEMORY_MAX:
                self._memory.clear()
            self._memory[names] = plan
        return plan

    def is_looked_at(self, kind: type) -> bool:
        """Return whether a value of this kind can differ, or hold what does."""
        if not self._kinds:
            return False
        if kind not in self._kinds:
            return True
        if kind is str:
            return self._values is not None
        if kind is list:
            return self._items is not None
        return kind is dict


def _kind(value: object) -> type:
    return dict if isinstance(value, dict) else type(value)


_META = _Node(known.META, "meta")
