"""Split a bundle's bytes into its resources' bytes, without building a tree and without holding the bundle.

The entries are taken block by block: a block is cut where an entry looks to begin, and msgspec proves the cut. If the
text from one entry's start to a comma is, in brackets, a valid JSON array, then that comma stands between two entries.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from streams.bundles.json_text import skip_space, value_end

UnreadableReason = Literal["not_json", "not_a_bundle", "truncated", "too_large", "other_patient", "too_many_resources"]
Read = Callable[[int], bytes]

_BOM = b"\xef\xbb\xbf"
_SEPARATOR = re.compile(rb",[ \t\r\n]*\{[ \t\r\n]*$")
_SEPARATOR_BYTES_MAX = 256
_HEAD_BYTES = 32  # looking for all of a resource at once costs more than looking for its beginning
_FIRST_KEYS = (b'"fullUrl"', b'"resource"')


class Unreadable(Exception):
    """The bytes are not a bundle that can be taken; nothing of them is published."""

    def __init__(self, reason: UnreadableReason) -> None:
        super().__init__(reason)
        self.reason: UnreadableReason = reason


@dataclass(frozen=True, slots=True)
class Block:
    """Some entries in a row: their bytes, where these begin in the bundle, and the resources in them."""

    start: int
    data: bytes
    resources: list[bytes]

    def ranges(self, numbers: Iterable[int] | None = None) -> Iterator[tuple[int, int]]:
        """Yield where the resources of these rising numbers, or all, begin in the bundle, and behind their ends."""
        at, begun = 0, 0
        for number in range(len(self.resources)) if numbers is None else numbers:
            # Those between are nowhere looked for: no further behind than they are long.
            at += sum(map(len, self.resources[begun:number]))
            raw, begun = self.resources[number], number + 1
            # Should the same bytes stand earlier, they are as good: they are the same bytes.
            head = raw[:_HEAD_BYTES]
            at = self.data.index(head, at)
            while not self.data.startswith(raw, at):
                at = self.data.index(head, at + 1)
            yield self.start + at, self.start + at + len(raw)
            at += len(raw)


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()


_ENTRIES = msgspec.json.Decoder(list[_Entry])
_PARTS = msgspec.json.Decoder(list[msgspec.Raw])
_ENTRY = msgspec.json.Decoder(_Entry)


def split(read: Read, *, block_bytes: int = 2**20, entry_bytes_max: int = 64 * 2**20) -> Iterator[Block]:
    """Yield the resources of the bundle that `read(n)` gives, some at a time; raise `Unreadable` if it is not one.

    A bundle that turns out unreadable may have yielded blocks before.
    """
    text = _Text(read, block_bytes=block_bytes, value_bytes_max=entry_bytes_max)
    if (first := text.peek()) != b"{":
        raise Unreadable({b"": "truncated", b"[": "not_a_bundle"}.get(first, "not_json"))  # type: ignore[arg-type]
    text.step()
    members: dict[str, object] = {}
    while (name := _member_name(text, first=not members)) is not None:
        if name in members:
            raise Unreadable("not_a_bundle")
        if name == "entry":
            members[name] = None
            if members.get("resourceType", "Bundle") != "Bundle":
                raise Unreadable("not_a_bundle")
            if text.peek() != b"[":
                raise Unreadable("truncated" if text.peek() == b"" else "not_a_bundle")
            text.step()
            yield from _blocks(text)
        else:
            _, value = text.value()
            members[name] = _decoded(value) if name == "resourceType" else None
    if text.peek() != b"":
        raise Unreadable("not_json")
    if members.get("resourceType") != "Bundle":
        raise Unreadable("not_a_bundle")


def _member_name(text: "_Text", *, first: bool) -> str | None:
    if text.peek() == b"}":
        text.step()
        return None
    if not first:
        text.expect(b",")
    _, raw = text.value()
    name = _decoded(raw)
    text.expect(b":")
    if not isinstance(name, str):
        raise Unreadable("not_json")
    text.peek()
    return name


def _decoded(raw: bytes) -> object:
    try:
        decoded: object = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable("not_json") from None
    return decoded


def _blocks(text: "_Text") -> Iterator[Block]:
    if text.peek() == b"]":
        text.step()
        return
    while True:
        yield text.entries() or _single(text)
        if text.peek() == b"]":
            text.step()
            return
        text.expect(b",")
        text.peek()


def _single(text: "_Text") -> Block:
    start, raw = text.value()
    return Block(start, raw, [_resource(raw)])


def _resource(entry: bytes) -> bytes:
    """Return the resource of an entry, or the entry itself if it has none: it is then judged, and refused, like one."""
    try:
        return bytes(_ENTRY.decode(entry).resource) or entry
    except msgspec.ValidationError:
        return entry
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable("not_json") from None


class _Text:
    """A window that moves over the bytes."""

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
            raise Unreadable("truncated" if found == b"" else "not_json")
        self.step()

    def value(self) -> tuple[int, bytes]:
        """Return the value that comes next, and where it begins."""
        self.peek()
        while True:
            try:
                end = value_end(self._data, self._at)
            except ValueError:
                raise Unreadable("not_json") from None
            if end is not None:
                start, raw = self._base + self._at, self._data[self._at : end]
                self._at = end
                return start, raw
            if len(self._data) - self._at > self._value_bytes_max:
                raise Unreadable("too_large")
            if not self._more():
                raise Unreadable("truncated")

    def entries(self) -> Block | None:
        """Return all entries up to the last that looks to begin in the window; None if that cannot be proved."""
        if len(self._data) - self._at < self._block_bytes // 2:
            self._more()
        for cut in _cuts(self._data, self._at):
            data = self._data[self._at : cut]
            if (resources := _resources(data)) is not None:
                start, self._at = self._base + self._at, cut
                return Block(start, data, resources)
        return None

    def _more(self) -> bool:
        """Drop what is behind the window, and read on: at least as much as is left, so that growing stays linear."""
        kept = self._data[self._at :]
        wanted = max(self._block_bytes, len(kept))
        added = b"" if self._ended else self._read(wanted)
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
    """Return the resources of the entries in `data`, or None if `data` is not a row of entries."""
    try:
        parts = [bytes(entry.resource) for entry in _ENTRIES.decode(b"[%b]" % data)]
    except msgspec.ValidationError:
        parts = []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if parts and all(parts):
        return parts
    try:
        return [_resource(bytes(raw)) for raw in _PARTS.decode(b"[%b]" % data)]
    except msgspec.DecodeError:
        return None
