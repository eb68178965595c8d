"""The first look at a bundle: every resource's bytes are hashed, and only those not known are looked into.

Nothing is published before the whole bundle was surveyed, so a bundle that ends too early publishes nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from models.errors import Poison
from streams.bundles.bundle.split import Block
from streams.bundles.resource.content_hash import NO_REFERENCES, raw_hash
from streams.bundles.resource.facts import UNKNOWN_TYPE, facts
from streams.bundles.resource.malformed import readable_part
from streams.bundles.snapshot.manifest import Entry, Manifest


class Row(msgspec.Struct, gc=False):
    """A resource whose bytes are not known yet, and what is found out about it on the way.

    `text`, `facets`, `names` and `references` are its words; with references resolved they are `content` and `links`.
    """

    position: int
    start: int
    end: int
    raw: bytes
    type: str
    id: str
    aliases: tuple[str, ...]
    subject: bytes = b""
    identity: str = ""
    entry: Entry | None = None
    folded: tuple[Entry, ...] = ()
    text: bytes = b""
    facets: bytes = b""
    names: bytes = b""
    references: bytes = NO_REFERENCES
    content: bytes = b""
    links: bytes = b""
    finding: str = ""
    validation: str = ""
    outcome: bytes = b""
    twin: bool = False


class Survey:
    """What a bundle holds: `seen` are the known bytes with their last position, `by_key` the rows by type and id."""

    def __init__(self, manifest: Manifest, *, trusted: bool, resources_max: int) -> None:
        self._manifest = manifest
        # Bytes that another validator judged are judged again.
        self._known = manifest.by_raw if trusted else {}
        # Of a resource without an id there may be several, byte for byte alike.
        self._nameless = manifest.nameless if trusted else {}
        self._copies: Counter[bytes] = Counter()
        self._resources_max = resources_max
        self.by_key: dict[object, Row] = {}
        self.seen: dict[bytes, int] = {}
        self.resources = 0

    def add(self, block: Block) -> None:
        """Take in the next resources."""
        hashes = [raw_hash(raw) for raw in block.resources]
        unknown = [number for number, digest in enumerate(hashes) if digest not in self._known]
        before = self.resources
        if len(unknown) < len(hashes):
            if self._nameless:
                unknown = sorted([*unknown, *self._surplus(hashes)])
            self.seen.update(zip(hashes, range(before, before + len(hashes)), strict=True))
        for number, (start, end) in zip(unknown, block.ranges(unknown), strict=True):
            if hashes[number] not in self._known:
                self.seen.pop(hashes[number], None)
            self._take(before + number, block.resources[number], hashes[number], start, end)
        self.resources += len(hashes)
        if self.resources > self._resources_max:
            raise Poison("too_many_resources")

    def _surplus(self, hashes: list[bytes]) -> Iterator[int]:
        """Yield which of the resources without an id are more than are known; count all."""
        for number, digest in enumerate(hashes):
            if digest in self._nameless:
                self._copies[digest] += 1
                if self._copies[digest] > len(self._nameless[digest]):
                    yield number

    def _take(self, position: int, raw: bytes, digest: bytes, start: int, end: int) -> None:
        found = facts(raw)
        if found.type == UNKNOWN_TYPE:
            # Refused whatever it is; but what it is a version of must not be taken for missing.
            found = facts(readable_part(raw))
        row = Row(position, start, end, digest, found.type, found.id, found.aliases, subject=found.subject)
        # The same id twice: the last one counts. Without an id each is one of its own, whatever it says.
        key: object = (row.type, row.id) if row.id else position
        self.by_key.pop(key, None)
        self.by_key[key] = row

    def rows(self) -> list[Row]:
        """Return the unknown resources that count, in the bundle's order, without those a later one replaces."""
        for row in list(self.by_key.values()):
            entry = self._manifest.by_id.get((row.type, row.id)) if row.id else None
            if entry is None or entry.ids[0] != row.id:
                continue
            position = max((self.seen.get(known, -1) for known in (entry.raw, entry.rejected)), default=-1)
            if position > row.position:
                del self.by_key[row.type, row.id]
            elif position >= 0:
                self.seen.pop(entry.raw, None)
                self.seen.pop(entry.rejected, None)
        return list(self.by_key.values())

    def known(self) -> Iterator[tuple[Entry, bytes]]:
        """Yield the entries whose bytes were seen, with those bytes' hash."""
        for digest in self.seen:
            if digest in self._nameless:
                yield from ((entry, digest) for entry in self._nameless[digest][: self._copies[digest]])
            else:
                yield self._known[digest], digest


def survey(blocks: Iterable[Block], manifest: Manifest, *, trusted: bool, resources_max: int) -> Survey:
    """Return the survey of a whole bundle; raise `Poison`."""
    found = Survey(manifest, trusted=trusted, resources_max=resources_max)
    for block in blocks:
        found.add(block)
    return found
