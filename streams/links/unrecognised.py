"""Which links the body of an unknown type holds. Pure.

Nobody can say yet what is behind them, and when somebody can, they are dead: so they are fetched and kept as they are.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from models import body as bodies
from models.errors import Quarantined
from streams.links import address
from streams.links.link import Settled

PATH_CHARS_MAX = 1024
_SIGNED = "x-amz-expires"


class FoundLink(NamedTuple):
    """One link, and where in the body it stands: a normalized JSONPath (RFC 9535, section 2.7)."""

    path: str
    url: str
    settled: Settled | None = None


def read(value: bytes) -> dict[str, Any]:
    """Return the body, empty if it cannot be read."""
    try:
        return bodies.parse(value)
    except Quarantined:
        return {}


def found(body: dict[str, Any], *, count_max: int) -> list[FoundLink]:
    """Return the presigned links in a body, then its other https links, which are told and not fetched.

    Only the first `count_max` are; one more says that there were more.
    """
    every = [
        FoundLink(path, text, None if is_signed else Settled("failed", "not_signed"))
        for path, text, is_signed in _links(body)
    ]
    every.sort(key=lambda link: link.settled is not None)
    if len(every) <= count_max:
        return every
    left_out = every[count_max]._replace(url="", settled=Settled("failed", "too_many_links"))
    return [*every[:count_max], left_out]


def _links(body: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Yield place, text and whether it is presigned, in the order of the body. No recursion: bodies may be deep."""
    waiting: list[tuple[str, Any]] = [("$", body)]
    while waiting:
        path, part = waiting.pop()
        if isinstance(part, dict):
            waiting += [(f"{path}['{_escaped(name)}']"[:PATH_CHARS_MAX], each) for name, each in reversed(part.items())]
        elif isinstance(part, list):
            waiting += [(f"{path}[{index}]"[:PATH_CHARS_MAX], each) for index, each in reversed(list(enumerate(part)))]
        elif isinstance(part, str) and part[:8].lower().startswith(("https://", "http://")):
            url = address.parse(part)
            is_signed = url is not None and any(name.lower() == _SIGNED for name in url.query)
            if url is not None and (is_signed or url.scheme == "https"):
                yield path, part, is_signed


def _escaped(name: str) -> str:
    return name.encode("utf-8", "replace").decode().replace("\\", "\\\\").replace("'", "\\'")
