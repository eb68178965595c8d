"""Scan a bundle: hash the bytes of every resource, and read what the unknown ones are, and of whom.

Nothing is published before the whole bundle was scanned, so a bundle that ends too early publishes nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from models.errors import Poison
from streams.bundles.bundle.split import Block
from streams.bundles.resource.content_hash import raw_hash
from streams.bundles.resource.facts import UNKNOWN_TYPE, facts
from streams.bundles.resource.malformed import readable_part
from streams.bundles.snapshot.manifest import Entry, Manifest


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A resource whose bytes are not known: where they are in the bundle, their hash, and the facts of the resource."""

    position: int
    start: int
    end: int
    raw: bytes
    type: str
    id: str
    aliases: tuple[str, ...]
    subject: bytes


class Scan:
    """What a bundle holds, taken in block by block: known bytes, each with its last position, and candidates."""

    def __init__(self, manifest: Manifest, *, trusted: bool, resources_max: int) -> None:
        self._manifest = manifest
        # Bytes that another validator has seen are validated again.
        self._known = manifest.by_raw if trusted else {}
        # Of a resource without an id there may be several, byte for byte alike.
        self._nameless = manifest.nameless if trusted else {}
        self._copies: Counter[bytes] = Counter()
        self._resources_max = resources_max
        self._by_key: dict[object, Candidate] = {}
        self._seen: dict[bytes, int] = {}
        self._resources = 0

    def add(self, block: Block) -> None:
        """Take in the next resources; raise `Poison` if there are too many."""
        hashes = [raw_hash(raw) for raw in block.resources]
        unknown = [number for number, digest in enumerate(hashes) if digest not in self._known]
        before = self._resources
        if len(unknown) < len(hashes):
            if self._nameless:
                unknown = sorted([*unknown, *self._surplus(hashes)])
            self._seen.update(zip(hashes, range(before, before + len(hashes)), strict=True))
        for number, (start, end) in zip(unknown, block.ranges(unknown), strict=True):
            if hashes[number] not in self._known:
                self._seen.pop(hashes[number], None)
            self._take(before + number, block.resources[number], hashes[number], start, end)
        self._resources += len(hashes)
        if self._resources > self._resources_max:
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
        candidate = Candidate(position, start, end, digest, found.type, found.id, found.aliases, found.subject)
        # The same id twice: the last one counts. Without an id each is one of its own, whatever it says.
        key: object = (found.type, found.id) if found.id else position
        self._by_key.pop(key, None)
        self._by_key[key] = candidate

    def candidates(self) -> list[Candidate]:
        """Return the unknown resources that count, in the bundle's order, without those a later one replaces."""
        for candidate in list(self._by_key.values()):
            entry = self._manifest.by_id.get((candidate.type, candidate.id)) if candidate.id else None
            if entry is None or entry.ids[0] != candidate.id:
                continue
            position = max((self._seen.get(known, -1) for known in (entry.raw, entry.rejected)), default=-1)
            if position > candidate.position:
                del self._by_key[candidate.type, candidate.id]
            elif position >= 0:
                self._seen.pop(entry.raw, None)
                self._seen.pop(entry.rejected, None)
        return list(self._by_key.values())

    def known(self) -> Iterator[tuple[Entry, bytes]]:
        """Yield the entries whose bytes were seen, with those bytes' hash."""
        for digest in self._seen:
            if digest in self._nameless:
                yield from ((entry, digest) for entry in self._nameless[digest][: self._copies[digest]])
            else:
                yield self._known[digest], digest


def scan_bundle(blocks: Iterable[Block], manifest: Manifest, *, trusted: bool, resources_max: int) -> Scan:
    """Return the scan of a whole bundle; raise `Poison`. `trusted`: the same validator has seen the known bytes."""
    found = Scan(manifest, trusted=trusted, resources_max=resources_max)
    for block in blocks:
        found.add(block)
    return found
