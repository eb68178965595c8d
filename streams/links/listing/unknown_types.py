"""Which links the body of an unknown type holds. Pure.

Nobody can say yet what is behind them, and when somebody can, they are dead: so they are fetched and kept as they are.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from models import body as bodies
from models.errors import Poison
from streams.links.fetching import address
from streams.links.link import EarlyOutcome

PATH_CHARS_MAX = 1024
LOOKS_MAX = 2000  # texts of one body that are looked at: more than the links that are listed at most
_SIGNED = "x-amz-expires"

# Where something stands: what it stands in, and its name or number there; None is the body.
Place: TypeAlias = "tuple[Place, str | int] | None"


class FoundLink(NamedTuple):
    """One link, and where in the body it stands: a normalized JSONPath (RFC 9535, section 2.7)."""

    path: str
    url: str
    early: EarlyOutcome | None = None


def read(value: bytes) -> dict[str, Any]:
    """Return the body, empty if it cannot be read."""
    try:
        return bodies.parse(value)
    except Poison:
        return {}


def found(body: dict[str, Any], *, count_max: int) -> list[FoundLink]:
    """Return the presigned links in a body, then its other https links, which are told and not fetched.

    Only the first `count_max` are; one more says that there were more, or more texts than are looked at.
    """
    texts = list(islice(_texts(body), LOOKS_MAX + 1))
    every = [link for place, text in texts[:LOOKS_MAX] if (link := _link(place, text))]
    every.sort(key=lambda link: link.early is not None)
    left_out = [link.path for link in every[count_max:]] or [_path(place) for place, _ in texts[LOOKS_MAX:]]
    return every[:count_max] + [FoundLink(path, "", EarlyOutcome("failed", "too_many_links")) for path in left_out[:1]]


def _link(place: Place, text: str) -> FoundLink | None:
    url = address.parse(text)
    if url is None:
        return None
    if any(name.lower() == _SIGNED for name in url.query):
        return FoundLink(_path(place), text)
    return FoundLink(_path(place), text, EarlyOutcome("failed", "not_signed")) if url.scheme == "https" else None


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


def _path(place: Place) -> str:
    """Write a place down: only those of links are."""
    steps = []
    while place is not None:
        place, step = place
        steps.append(f"[{step}]" if isinstance(step, int) else f"['{_escaped(step)}']")
    return ("$" + "".join(reversed(steps)))[:PATH_CHARS_MAX]


def _escaped(name: str) -> str:
    return name.encode("utf-8", "replace").decode().replace("\\", "\\\\").replace("'", "\\'")
