"""Split a bundle's bytes into its resources' bytes, without building a tree and without holding the bundle.

The entries are taken block by block: a block is cut where an entry looks to begin, and msgspec proves the cut. If the
text from one entry's start to a comma is, in brackets, a valid JSON array, then that comma stands between two entries.
Where that cannot be proved, or an entry is unusual, the entries are told apart by brackets and quotation marks alone:
what is wrong within one of them is then its own affair.

Every byte is looked at a bounded number of times, whatever the bytes are.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from models.errors import Poison
from models.reasons import BundlesReason
from streams.bundles.bundle.json_scan import members, skip_space, value_end

Read = Callable[[int], bytes]

_BOM = b"\xef\xbb\xbf"
_SEPARATOR = re.compile(rb",[ \t\r\n]*\{[ \t\r\n]*$")
_SEPARATOR_BYTES_MAX = 256
_HEAD_BYTES = 32  # looking for all of a resource at once costs more than looking for its beginning
_RESOURCE = b'"resource"'
_FIRST_KEYS = (b'"fullUrl"', _RESOURCE)
_LETTER_ESCAPED = b"\\u00"  # a name might be written with these
_NO_OBJECT: dict[bytes, BundlesReason] = {b"": "truncated", b"[": "not_a_bundle"}  # how it begins instead
_MEMBERS_MAX = 1000  # of the bundle itself: FHIR has ten or so, https://hl7.org/fhir/R4/bundle.html


@dataclass(frozen=True, slots=True)
class Block:
    """Some entries in a row: their bytes, where these begin in the bundle, and the resources in them.

    `starts` says where in `data` each resource begins, if that is known.
    """

    start: int
    data: bytes
    resources: list[bytes]
    starts: list[int] | None = None

    def ranges(self, numbers: Iterable[int] | None = None) -> Iterator[tuple[int, int]]:
        """Yield where the resources of these rising numbers, or all, begin in the bundle, and behind their ends."""
        wanted = range(len(self.resources)) if numbers is None else numbers
        if self.starts is None:
            yield from self._sought(wanted)
            return
        for number in wanted:
            start = self.start + self.starts[number]
            yield start, start + len(self.resources[number])

    def _sought(self, numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
        at, begun = 0, 0
        for number in numbers:
            # Skip over the resources we do not need: the next one starts at least their total length further on.
            at += sum(map(len, self.resources[begun:number]))
            raw, begun = self.resources[number], number + 1
            # An earlier identical match is fine: the bytes are equal.
            head = raw[:_HEAD_BYTES]
            at = self.data.index(head, at)
            while not self.data.startswith(raw, at):
                at = self.data.index(head, at + 1)
            yield self.start + at, self.start + at + len(raw)
            at += len(raw)


_NOTHING = msgspec.Raw()


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = _NOTHING
    fullUrl: msgspec.Raw = _NOTHING  # noqa: N815 - FHIR's name


_ENTRIES = msgspec.json.Decoder(list[_Entry])


def split(read: Read, *, block_bytes: int = 2**20, entry_bytes_max: int = 64 * 2**20) -> Iterator[Block]:
    """Yield the resources of the bundle that `read(n)` gives, some at a time; raise `Poison` if it is not one.

    A bundle that turns out unreadable may have yielded blocks before.
    """
    text = _Text(read, block_bytes=block_bytes, value_bytes_max=entry_bytes_max)
    if (first := text.peek()) != b"{":
        raise Poison(_NO_OBJECT.get(first, "not_json"))
    text.step()
    found: dict[object, object] = {}
    while (name := _member_name(text, first=not found)) is not None:
        if name in found or len(found) == _MEMBERS_MAX:
            raise Poison("not_a_bundle")
        if name == "entry":
            found[name] = None
            if found.get("resourceType", "Bundle") != "Bundle":
                raise Poison("not_a_bundle")
            if text.peek() != b"[":
                raise Poison("truncated" if text.peek() == b"" else "not_a_bundle")
            text.step()
            yield from _blocks(text)
        else:
            _, value = text.value()
            found[name] = _decoded(value) if name == "resourceType" else None
    if text.peek() != b"":
        raise Poison("not_json")
    if found.get("resourceType") != "Bundle":
        raise Poison("not_a_bundle")


def _member_name(text: "_Text", *, first: bool) -> object:
    """Return the name of the bundle's next member; None behind the last."""
    if text.peek() == b"}":
        text.step()
        return None
    if not first:
        text.expect(b",")
    if text.peek() not in {b'"', b""}:
        raise Poison("not_json")
    _, raw = text.value()
    text.expect(b":")
    text.peek()
    return _decoded(raw)


def _decoded(raw: bytes) -> object:
    """Return a text; what cannot be read stays bytes, and is nothing that is looked for."""
    try:
        return msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return raw


def _blocks(text: "_Text") -> Iterator[Block]:
    if text.peek() == b"]":
        text.step()
        return
    while True:
        yield text.entries()
        if text.peek() == b"]":
            text.step()
            return
        text.expect(b",")
        text.peek()


class _Text:
    """A window that moves over the bytes. Its methods raise `Poison` where these cannot be a bundle."""

    def __init__(self, read: Read, *, block_bytes: int, value_bytes_max: int) -> None:
        self._read = read
        self._block_bytes = block_bytes
        self._value_bytes_max = value_bytes_max
        self._data = read(block_bytes)
        self._base = 0
        self._at = 3 if self._data.startswith(_BOM) else 0
        self._ended = not self._data

    def peek(self) -> bytes:
        """Return the next byte that is not white space; nothing at the end."""
        while True:
            self._at = skip_space(self._data, self._at)
            if self._at < len(self._data) or not self._more():
                return self._data[self._at : self._at + 1]

    def step(self) -> None:
        """Go behind the byte that `peek` returned."""
        self._at += 1

    def expect(self, byte: bytes) -> None:
        """Go behind `byte`, which must come next."""
        if (found := self.peek()) != byte:
            raise Poison("truncated" if found == b"" else "not_json")
        self.step()

    def value(self) -> tuple[int, bytes]:
        """Return the value that comes next, and where it begins."""
        self.peek()
        while (end := self._end(self._at)) is None:
            self._grow()
        start, raw = self._base + self._at, self._data[self._at : end]
        self._at = end
        return start, raw

    def entries(self) -> Block:
        """Return the next entries, as many as there are in the window, or the next one alone."""
        if len(self._data) - self._at < self._block_bytes // 2:
            self._more()
        for cut in _cuts(self._data, self._at):
            if cut - self._at > self._value_bytes_max:
                break  # one of these might be too large
            data = self._data[self._at : cut]
            if (resources := _resources(data)) is not None:
                start, self._at = self._base + self._at, cut
                return Block(start, data, resources)
        while (block := self._told_apart()) is None:
            self._grow()
        return block

    def _told_apart(self) -> Block | None:
        """Return all entries that end in the window; None if the first one does not."""
        data, begun = self._data, self._at
        places: list[tuple[int, int]] = []
        at = begun
        while (end := self._end(at)) is not None:
            places.append(_resource_in(data, at, end))
            self._at = end
            behind = skip_space(data, end)
            if data[behind : behind + 1] != b",":
                break
            at = skip_space(data, behind + 1)
            if at == len(data):
                break
        if not places:
            return None
        found = [data[start:end] for start, end in places]
        return Block(self._base + begun, data[begun : self._at], found, [start - begun for start, _ in places])

    def _end(self, at: int) -> int | None:
        try:
            end = value_end(self._data, at)
        except ValueError:
            raise Poison("not_json") from None
        if end is not None and end - at > self._value_bytes_max:
            raise Poison("too_large")
        return end

    def _grow(self) -> None:
        """Read on, because the value that begins here goes on."""
        if len(self._data) - self._at > self._value_bytes_max:
            raise Poison("too_large")
        if not self._more():
            raise Poison("truncated")

    def _more(self) -> bool:
        """Drop what is behind the window, and read on: at least as much as is left, so that growing stays linear."""
        if self._ended:
            return False
        kept = self._data[self._at :]
        added = self._read(max(self._block_bytes, len(kept)))
        self._ended = not added
        self._base += self._at
        self._at = 0
        self._data = kept + added
        return bool(added)


def _cuts(data: bytes, at: int) -> Iterator[int]:
    """Yield the commas before which the last entry seems to end."""
    for key in _FIRST_KEYS:
        position = data.rfind(key, at)
        if position < 0:
            continue
        before = max(at, position - _SEPARATOR_BYTES_MAX)
        if (found := _SEPARATOR.search(data[before:position])) is not None:
            yield before + found.start()


def _resources(data: bytes) -> list[bytes] | None:
    """Return the resources of the entries in `data`, or None if these are not a row of everyday entries."""
    try:
        entries = _ENTRIES.decode(b"[%b]" % data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    parts = [bytes(entry.resource) for entry in entries]
    # An entry with two resources would hide one of them.
    if not all(parts) or not (_is_all(data, parts, entries) or _names_as_many(data, len(parts))):
        return None
    return parts


def _is_all(data: bytes, parts: list[bytes], entries: list[_Entry]) -> bool:
    """Whether `data` has no byte but those that entries of nothing but a URL and a resource need."""
    needed = sum(map(len, parts)) + len(parts) * len('{"fullUrl":,"resource":},') - 1
    return needed + sum([len(bytes(entry.fullUrl)) for entry in entries]) == len(data)


def _names_as_many(data: bytes, count: int) -> bool:
    return data.count(_RESOURCE) == count and _LETTER_ESCAPED not in data


def _resource_in(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return where the resource of an entry begins and ends.

    An entry that has none, or two, or is broken outside of it stands for itself: it is refused as a resource is.
    """
    found: tuple[int, int] | None = None
    try:
        for member in members(data, start, end):
            if _is_resource(member.name):
                if found is not None:
                    return start, end
                found = (member.start, member.end)
    except ValueError:
        return start, end
    return found or (start, end)


def _is_resource(name: bytes) -> bool:
    return name == _RESOURCE or (_LETTER_ESCAPED in name and _decoded(name) == "resource")
