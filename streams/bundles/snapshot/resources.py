"""Hold one resource whose bytes are not known: what was read of it, what it says, and which known one it is."""

import msgspec

from streams.bundles.resource.content_hash import NO_REFERENCES
from streams.bundles.snapshot.manifest import Entry


class Resource(msgspec.Struct, gc=False):
    """A candidate with its validation result, from which `matching` finds out which resource it is.

    `matching` alone sets the fields from `identity` on, and it sets them step by step: whether two resources refer to
    the same can be told only once what they refer to has its identity. So this is the one value that changes while it
    is worked on. For all others it is as `matching.match` returned it.

    `text`, `facets`, `names` and `references` are what it says (`content_hash.Words`); `content` and `links` the same
    with references resolved, `content` empty if it was refused. `entry` is what is known of it, `folded` are the other
    entries that it was merged from. A `twin` is one more copy of a resource that the bundle has already.
    """

    start: int
    end: int
    raw: bytes
    type: str
    id: str
    aliases: tuple[str, ...]
    status: str = ""
    validation: str = ""
    text: bytes = b""
    facets: bytes = b""
    names: bytes = b""
    references: bytes = NO_REFERENCES
    outcome: bytes = b""
    identity: str = ""
    entry: Entry | None = None
    folded: tuple[Entry, ...] = ()
    twin: bool = False
    content: bytes = b""
    links: bytes = b""
