"""Where a JSON value ends, found without reading what is in it."""

import re

_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|"', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR = re.compile(rb"[-+.0-9A-Za-z]+(?=[\s,\]}])")
_SPACE = re.compile(rb"[ \t\r\n]*")


def skip_space(data: bytes, at: int) -> int:
    """Return the first position from `at` that is not white space."""
    found = _SPACE.match(data, at)
    assert found is not None
    return found.end()


def value_end(data: bytes, at: int) -> int | None:
    """Return the position behind the value that starts at `at`; None if it goes on behind `data`.

    Raise ValueError if no value can start there.
    """
    if at >= len(data):
        return None
    first = data[at : at + 1]
    if first in b"{[":
        return _container_end(data, at)
    pattern = _STRING if first == b'"' else _SCALAR
    if (found := pattern.match(data, at)) is not None:
        return found.end()
    if first == b'"' or data[at:].isalnum():
        return None
    raise ValueError("no value starts here")


def _container_end(data: bytes, at: int) -> int | None:
    depth = 0
    for token in _TOKENS.finditer(data, at):
        match token[0]:
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
                if depth == 0:
                    return token.end()
            case b'"':
                return None  # a string that goes on behind the data
    return None
