"""What one resource may cost, decided on its bytes before anything parses them.

The cost of a resource is its elements, not its bytes: 15 MB of tiny elements take 70 times their size in memory.
"""

import re
from dataclasses import dataclass
from itertools import accumulate

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}


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
    opened = raw.count(b"{") + raw.count(b"[")
    # Brackets in texts are counted too, so the count can only be too high; that is settled exactly when it matters.
    if opened <= limits.depth_max:
        return None
    brackets = _STRINGS.sub(b"", raw).translate(None, _NOT_BRACKETS)
    if brackets.count(b"{") + brackets.count(b"[") > limits.elements_max:
        return "elements_max"
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > limits.depth_max:
        return "depth_max"
    return None
