"""Reading a body strictly: what two readers could understand differently is not read at all.

The standard library's parser, because it keeps every number exact and lets us see repeated names; faster ones
take the last `messageId` of two and turn 2^64 into a float without a word. So a fast one is believed only where it
writes back the very bytes it has read: then nothing was dropped, joined or rounded.
"""

import json
from typing import Any, NoReturn

import orjson

from models.errors import Quarantined


def parse(body: bytes) -> dict[str, Any]:
    """Return the object in `body`; raise `Quarantined` with `not_json`, `not_an_object` or `ambiguous`."""
    try:
        quick = orjson.loads(body)
        parsed = quick if orjson.dumps(quick) == body else _exact(body)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        parsed = _exact(body)
    if not isinstance(parsed, dict):
        raise Quarantined("not_an_object")
    return parsed


def _exact(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON can say
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except Quarantined:
        raise
    # RecursionError: ten thousand levels deep. ValueError covers bad JSON, bad UTF-8, a BOM, NaN, 5,000-digit numbers.
    except (ValueError, RecursionError):
        raise Quarantined("not_json") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Quarantined("ambiguous")
    return found


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)
