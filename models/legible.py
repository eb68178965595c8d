r"""Makes of a body that no strict reader takes one that they all take, and loses as little as that needs.

JavaScript writes half an emoji where it cuts a text (`"cut \ud83d"`), and programs write `NaN`, nest thousands deep, or
put down numbers of thousands of digits. Half a character stays legible as the letters of its escape; what has no other
form in JSON becomes null. The bytes as received are in `webhooks`.
"""

import re

BYTES_MAX = 2**20  # of a body: each mark of it costs a fraction of a microsecond, on an event loop
DEPTH_MAX = 100  # of arrays and objects; fast readers end somewhere above

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[{\]}]|NaN|-?Infinity|-?[0-9]{1000,}+', re.DOTALL)
_HALF = re.compile(rb"(\\u[dD][89abAB]..\\u[dD][c-fC-F]..)|(\\u[dD][89a-fA-F]..)|\\.", re.DOTALL)


def legible(body: bytes) -> bytes:
    """Return `body` without what RFC 8259 readers refuse or read differently; a larger one as it is."""
    if len(body) > BYTES_MAX:
        return body
    parts: list[bytes] = []
    depth, kept = 0, 0
    for token in _TOKEN.finditer(body):
        first = body[token.start()]
        if first in b"[{":
            depth += 1
            if depth == DEPTH_MAX + 1:
                parts += (body[kept : token.start()], b"null")
        elif first in b"]}":
            if depth == DEPTH_MAX + 1:
                kept = token.end()
            depth -= 1
        elif depth <= DEPTH_MAX:
            text = token.group()
            instead = _HALF.sub(_whole, text) if first == ord('"') else b"null"
            if instead != text:
                parts += (body[kept : token.start()], instead)
                kept = token.end()
    return b"".join((*parts, body[kept:])) if parts else body


def _whole(escape: re.Match[bytes]) -> bytes:
    r"""Return an escape as it is, but half a character as letters: `\\ud83d`."""
    return b"\\" + escape[0] if escape[2] else escape[0]
