"""JSON that keeps every number: the fast library reads one beyond 64 bits as a float or not at all, and writes none."""

import json
import re
from typing import Any

import msgspec
import orjson

_LONG = re.compile(rb"[0-9]{19}")


def loads(text: bytes) -> Any:  # noqa: ANN401 - whatever JSON can say
    """Return what `text` says; raise `ValueError` if it is no JSON, `RecursionError` if it is too deep."""
    return msgspec.json.decode(text) if _LONG.search(text) else orjson.loads(text)


def dumps(value: object, *, sort_keys: bool = False) -> bytes:
    """Return `value` as JSON; raise `ValueError` or `RecursionError` where it has no such form."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None)
    except TypeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys, allow_nan=False)
        return text.encode()
