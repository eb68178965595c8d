"""What one resource may cost, decided on its bytes before anything parses them.

The cost of a resource is its elements, not its bytes: 15 MB of tiny elements take 70 times their size in memory.
"""

import re
from dataclasses import dataclass

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_INNERMOST = re.compile(rb"\{\}|\[\]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


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
    if raw.count(b"{") + raw.count(b"[") <= limits.depth_max:
        return None
    brackets = _brackets(raw)
    if brackets.count(b"{") + brackets.count(b"[") > limits.elements_max:
        return "elements_max"
    return "depth_max" if _is_deeper(brackets, limits.depth_max) else None


def _brackets(raw: bytes) -> bytes:
    """Return the brackets outside of texts."""
    # Without a backslash every quotation mark begins or ends a text, so every second piece is outside.
    outside = _STRINGS.sub(b"", raw) if b"\\" in raw else b"".join(raw.split(b'"')[::2])
    return outside.translate(None, _NOT_BRACKETS)


def _is_deeper(brackets: bytes, depth_max: int) -> bool:
    """Whether the nesting is deeper than `depth_max`: each round takes the innermost level away."""
    for _ in range(depth_max):
        left = _INNERMOST.sub(b"", brackets)
        if len(left) == len(brackets):
            return False  # nothing left, or brackets that do not match: no JSON, which the parser says
        brackets = left
    return bool(brackets)
