"""Find the links in the body of an unknown type. Pure.

Nobody can say yet what is behind them, and when somebody can, they are dead: so they are fetched and kept as they are.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeAlias

from models import body as bodies
from models.errors import Poison
from streams.links.fetching import address
from streams.links.link import EarlyOutcome
from streams.links.listing.found import Found

PATH_CHARS_MAX = 1024
LOOKS_MAX = 2000  # texts of one body that are looked at: more than the links that are listed at most
_SIGNED = "x-amz-expires"

# Where something stands: what it stands in, and its name or number there; None is the body.
Place: TypeAlias = "tuple[Place, str | int] | None"


def read(value: bytes) -> dict[str, Any]:
    """Return the body, empty if it cannot be read."""
    try:
        return bodies.parse(value)
    except Poison:
        return {}


def found(body: dict[str, Any], *, count_max: int) -> list[Found]:
    """Return the presigned links in a body, then its other https links, which are listed and not fetched.

    Only the first `count_max` are; one more says that there were more, or more texts than are looked at.
    """
    texts = list(islice(_texts(body), LOOKS_MAX + 1))
    every = [link for place, text in texts[:LOOKS_MAX] if (link := _link(place, text))]
    every.sort(key=lambda link: link.early is not None)
    left_out = [link.record for link in every[count_max:]] or [_record(place) for place, _ in texts[LOOKS_MAX:]]
    too_many = EarlyOutcome("failed", "too_many_links")
    return every[:count_max] + [Found("document", (), "unknown", record, too_many) for record in left_out[:1]]


def _link(place: Place, text: str) -> Found | None:
    url = address.parse(text)
    if url is None:
        return None
    if any(name.lower() == _SIGNED for name in url.query):
        return Found("document", (text,), "unknown", _record(place))
    not_signed = EarlyOutcome("failed", "not_signed")
    return Found("document", (), "unknown", _record(place), not_signed) if url.scheme == "https" else None


def _texts(body: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield what begins as a link does, in the order of the body. No recursion: bodies may be deep."""
    waiting: list[tuple[Place, Any]] = [(None, body)]
    while waiting:
        place, part = waiting.pop()
        if isinstance(part, dict):
            waiting += [((place, name), each) for name, each in reversed(part.items())]
        elif isinstance(part, list):
            waiting += [((place, index), each) for index, each in reversed(list(enumerate(part)))]
        elif isinstance(part, str) and part[:8].lower().startswith(("https://", "http://")):
            yield place, part


def _record(place: Place) -> dict[str, Any]:
    """Write a place down, as a normalized JSONPath (RFC 9535, section 2.7); only those of links are."""
    steps = []
    while place is not None:
        place, step = place
        steps.append(f"[{step}]" if isinstance(step, int) else f"['{_escaped(step)}']")
    return {"path": ("$" + "".join(reversed(steps)))[:PATH_CHARS_MAX]}


def _escaped(name: str) -> str:
    return name.encode("utf-8", "replace").decode().replace("\\", "\\\\").replace("'", "\\'")
