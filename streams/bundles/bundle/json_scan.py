"""Find where JSON values end by brackets and quotation marks alone: what stands between them may be anything.

So one broken value does not hide where the next one begins. Every function looks at each byte once.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_TO_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+[{}\[\]]', re.DOTALL)
_SCALAR = re.compile(rb"[-+.0-9A-Za-z]++")
_BEHIND_SCALAR = b" \t\r\n,]}"
_SPACE = re.compile(rb"[ \t\r\n]*+")
_OPENING = {ord("{"): ord("}"), ord("["): ord("]")}


class Member(NamedTuple):
    """A member of an object: its name with the quotation marks, and where its value begins and ends."""

    name: bytes
    start: int
    end: int


def skip_space(data: bytes, at: int) -> int:
    """Return the first position from `at` that is not white space."""
    found = _SPACE.match(data, at)
    assert found is not None
    return found.end()


def value_end(data: bytes, at: int) -> int | None:
    """Return the position behind the value that starts at `at`; None if it goes on behind `data`.

    Raise ValueError if no value can start there, or if brackets close what they did not open.
    """
    first = data[at : at + 1]
    if first in {b"{", b"["}:
        return _container_end(data, at)
    if first == b'"':
        found = _STRING.match(data, at)
        return found.end() if found else None
    found = _SCALAR.match(data, at)
    end = found.end() if found else at
    if end == len(data):
        return None
    if end == at or data[end] not in _BEHIND_SCALAR:
        raise ValueError("no value starts here")
    return end


def _container_end(data: bytes, at: int) -> int | None:
    closing = bytearray()
    to_bracket = _TO_BRACKET.match
    while (found := to_bracket(data, at)) is not None:
        at = found.end()
        bracket = data[at - 1]
        if bracket in _OPENING:
            closing.append(_OPENING[bracket])
        elif closing.pop() != bracket:
            raise ValueError("a bracket closes what it did not open")
        elif not closing:
            return at
    return None


def members(data: bytes, start: int, end: int) -> Iterator[Member]:
    """Yield the members of the object from `start` to before `end`; raise ValueError where it is none."""
    at = skip_space(data, start + 1)
    if data[start : start + 1] != b"{":
        raise ValueError("not an object")
    while data[at] != ord("}") or at != end - 1:
        name = _STRING.match(data, at)
        if name is None:
            raise ValueError("not the name of a member")
        at = skip_space(data, name.end())
        if data[at] != ord(":"):
            raise ValueError("a member without a value")
        at = skip_space(data, at + 1)
        behind = value_end(data, at)
        if behind is None or behind >= end:
            raise ValueError("a value that does not end")
        yield Member(name[0], at, behind)
        at = skip_space(data, behind)
        if data[at] == ord(",") and at < end - 1:
            at = skip_space(data, at + 1)
            if data[at] == ord("}"):
                raise ValueError("a comma behind the last member")
        elif at != end - 1:
            raise ValueError("neither a comma nor the end")
