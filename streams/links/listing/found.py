"""Say what a delivery tells of one link, before it has a place among the links of its record. Pure."""

from typing import Any, Literal, NamedTuple

from streams.links.content_type import Kind
from streams.links.link import EarlyOutcome


class Found(NamedTuple):
    """One link; the fields are those of `Link`, `record` what it tells beside what all links of a delivery have."""

    kind: Literal["document", "bundle", "bulk-result"]
    urls: tuple[str, ...]
    expects: Kind
    record: dict[str, Any]
    early: EarlyOutcome | None = None
