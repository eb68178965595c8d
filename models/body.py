"""Reading a body strictly: what two readers could understand differently is not read at all.

The standard library's parser, because it keeps every number exact and lets us see repeated names; faster ones
take the last `messageId` of two and turn 2^64 into a float without a word. So a fast one is believed only where it
writes back the very bytes it has read: then nothing was dropped, joined or rounded.

What no strict reader takes is made legible first, if it is of a size at which that is cheap. A name given twice makes
a body ambiguous, except within `meta.data`, which we only pass on: there the last one counts.
"""

import json
import math
from typing import Any, NoReturn

import orjson

from models.errors import Poison
from models.legible import legible


def parse(body: bytes) -> dict[str, Any]:
    """Return the object in `body`; raise `Poison` with `not_json`, `not_an_object` or `ambiguous`."""
    try:
        quick = orjson.loads(body)
        parsed = quick if orjson.dumps(quick) == body else _exact(body)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        parsed = _exact(legible(body))
    if not isinstance(parsed, dict):
        raise Poison("not_an_object")
    return parsed


def _exact(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON can say
    try:
        found = _DECODER.decode(body.decode("utf-8"))
    # RecursionError: ten thousand levels deep. ValueError covers bad JSON, bad UTF-8, a BOM, NaN, 5,000-digit numbers.
    except (ValueError, RecursionError):
        raise Poison("not_json") from None
    if isinstance(found, dict):
        _demand_unambiguous(found)
    return found


class _Ambiguous(dict[str, Any]):
    """An object with a name given twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Ambiguous(found)


def _demand_unambiguous(body: dict[str, Any]) -> None:
    """Raise if a name is given twice anywhere but in `meta.data`."""
    meta = body.get("meta")
    aside = {id(meta["data"])} if isinstance(meta, dict) and "data" in meta else set()
    waiting: list[Any] = [body]
    while waiting:
        part = waiting.pop()
        if id(part) in aside:
            continue
        if isinstance(part, _Ambiguous):
            raise Poison("ambiguous")
        if isinstance(part, dict):
            waiting += [value for value in part.values() if isinstance(value, dict | list)]
        elif isinstance(part, list):
            waiting += [value for value in part if isinstance(value, dict | list)]


def _finite(text: str) -> float | None:
    """Return a number that JSON can say again, else nothing: 1e999 is more than any reader can hold."""
    number = float(text)
    return number if math.isfinite(number) else None


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant)
