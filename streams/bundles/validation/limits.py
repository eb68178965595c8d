"""Decide on a resource's bytes, before anything parses them, whether it costs too much.

The cost of a resource is its elements, not its bytes: 15 MB of tiny elements take 70 times their size in memory.
"""

import re
from dataclasses import dataclass

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_ONE_KIND = bytes.maketrans(b"[]", b"{}")
_NOT_OPENING = bytes(set(range(256)) - set(b"[{"))
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NOT_BRACKETS_OR_QUOTES = bytes(set(range(256)) - set(b'[]{}"'))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one resource may cost."""

    resource_bytes_max: int = 16 * 2**20
    elements_max: int = 20_000
    depth_max: int = 64
    issues_max: int = 20


def exceeded(raw: bytes, limits: Limits) -> str | None:
    """Return which limit `raw` is over, or None."""
    if len(raw) > limits.resource_bytes_max:
        return "resource_bytes_max"
    # Brackets in texts are counted too, so the count can only be too high; that is settled exactly when it matters.
    opened = len(raw.translate(None, _NOT_OPENING))
    if opened <= limits.depth_max:
        return None
    brackets = _brackets(raw)
    if opened > limits.elements_max and brackets.count(b"{") > limits.elements_max:
        return "elements_max"
    return "depth_max" if _is_deeper(brackets, limits.depth_max) else None


def _brackets(raw: bytes) -> bytes:
    """Return the brackets outside of texts, all of one kind: that they match is for the parser to say."""
    if b"\\" in raw:
        return _STRINGS.sub(b"", raw).translate(_ONE_KIND, _NOT_BRACKETS)
    # Without a backslash every quotation mark begins or ends a text, so every second piece is outside. Two marks with
    # nothing between them change nothing for what follows: gone, hardly any are left to split at.
    marked = raw.translate(_ONE_KIND, _NOT_BRACKETS_OR_QUOTES).replace(b'""', b"")
    return b"".join(marked.split(b'"')[::2])


def _is_deeper(brackets: bytes, depth_max: int) -> bool:
    """Whether the nesting is deeper than `depth_max`: each round takes the innermost level away."""
    for _ in range(depth_max):
        if len(left := brackets.replace(b"{}", b"")) == len(brackets):
            return False  # nothing left, or brackets that do not match
        brackets = left
    return bool(brackets)
