"""Reads deliveries out of a spool's bytes, whatever else has become of them.

Nothing that leads to a row is trusted, neither the tree, nor the header, nor a page's list of cells: every row that a
page or a frame of the journal holds is found by its shape, and counts when its seal says that it is what was written.
So a row comes out if its own bytes are whole in either file. One that was moved on before may come out again.

Format: https://www.sqlite.org/fileformat2.html#b_tree_pages.
"""

import os
import re
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple, Self

from ingress import spool_journal
from ingress.records import Delivery
from ingress.spool_journal import FRAME_BYTES, FRAME_HEADER_BYTES, HEADER_BYTES, PAGE_BYTES
from ingress.spool_row import opened

# A record's header: its size, NULL for the id, text of 24 bytes, a number, and then the size of the body.
_SHAPE = re.compile(rb"(?=[\x05-\x09]\x00\x3d[\x01-\x06\x08\x09])", re.DOTALL)
_RECEIVED_AT_BYTES = 24
_NUMBER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
_SMALLEST_BLOB = 12
# How much of a row is in its own page when it does not fit there.
_LOCAL_MAX = PAGE_BYTES - 35
_LOCAL_MIN = (PAGE_BYTES - 12) * 32 // 255 - 23
_CHAINED = PAGE_BYTES - 4
# Every so many pages the file has one that is not of any row: where the pages belong.
_MAP_EVERY = PAGE_BYTES // 5 + 1
_SMALLEST_ROW_BYTES = 40


class Found(NamedTuple):
    """One delivery; a higher id came later."""

    id: int
    delivery: Delivery


class Remains:
    """What is left of a spool's file and its journal, either of which may be missing. To be used with `with`."""

    def __init__(self, file: Path, journal: Path) -> None:
        self._stack = ExitStack()
        self._file = _Bytes(file, self._stack)
        self._frames_bytes = _Bytes(journal, self._stack)
        self.journal = spool_journal.read(self._frames_bytes.read(0, self._frames_bytes.size))
        self._versions: dict[int, list[int]] = {}
        for number in range(self._frame_count()):
            self._versions.setdefault(self._page_of(number), []).append(number)
        self.missing = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def rows(self, *, behind: int = 0, from_frame: int | None = None) -> Iterator[Found]:
        """Yield every row with an id above `behind` once, in order; `missing` is then how many ids between are nowhere.

        With `from_frame`, only those that the journal holds from this frame on.
        """
        ids, seals, places = array("q"), array("q"), array("Q")
        pages = 0 if from_frame is not None else self._page_count()
        for place in (*range(pages), *range(pages + (from_frame or 0), pages + self._frame_count())):
            version = place - pages if place >= pages else None
            page = self._page(place) if version is None else self._frame(version)
            for shape in _SHAPE.finditer(page):
                row = self._row(page, shape.start(), version)
                if row is not None and row[0] > behind:
                    ids.append(row[0])
                    seals.append(row[1])
                    places.append(place << 12 | shape.start())
        yield from self._in_order(ids, seals, places, pages)

    def _in_order(self, ids: "array[int]", seals: "array[int]", places: "array[int]", pages: int) -> Iterator[Found]:
        last = None
        for number in sorted(range(len(ids)), key=lambda number: (ids[number], seals[number])):
            this = (ids[number], seals[number])
            if this == last:
                continue
            if last is not None:
                self._count_missing(last[0], this[0])
            last = this
            place, at = places[number] >> 12, places[number] & 0xFFF
            version = place - pages if place >= pages else None
            page = self._page(place) if version is None else self._frame(version)
            row = self._row(page, at, version)
            if row is not None:
                yield Found(row[0], row[2])

    def _count_missing(self, last: int, this: int) -> None:
        # An id that is itself damaged is far from the others: further than there is room for rows.
        between = max(0, this - last - 1)
        if between * _SMALLEST_ROW_BYTES <= self._file.size + self._frames_bytes.size:
            self.missing += between

    def _row(self, page: bytes, at: int, version: int | None) -> tuple[int, int, Delivery] | None:
        """Return id, seal and delivery of the record whose header is at `at`, None if it is not one or not whole."""
        header_bytes, number_type = page[at], page[at + 3]
        body_type, end = _varint(page, at + 4)
        if end != at + header_bytes or body_type < _SMALLEST_BLOB or body_type & 1:
            return None
        number_bytes = _NUMBER_BYTES[number_type]
        size = header_bytes + _RECEIVED_AT_BYTES + number_bytes + (body_type - _SMALLEST_BLOB) // 2
        for content in self._contents(page, at, size, version):
            number_at = header_bytes + _RECEIVED_AT_BYTES
            number = int.from_bytes(content[number_at : number_at + number_bytes], signed=True)
            sealed = number if number_bytes else number_type - 8
            received_at = content[header_bytes:number_at].decode("ascii", "replace")
            delivery = opened(received_at, sealed, content[number_at + number_bytes :])
            if delivery is not None:
                return _varint_before(page, at), sealed, delivery
        return None

    def _contents(self, page: bytes, at: int, size: int, version: int | None) -> Iterator[bytes]:
        """Yield what the record may be: pages behind its own are looked for where and when they may have been."""
        if size <= _LOCAL_MAX:
            if at + size <= PAGE_BYTES:
                yield page[at : at + size]
            return
        local = _LOCAL_MIN + (size - _LOCAL_MIN) % _CHAINED
        local = local if local <= _LOCAL_MAX else _LOCAL_MIN
        end = at + local
        if end + 4 > PAGE_BYTES or size > self._file.size + self._frames_bytes.size:
            return
        first = int.from_bytes(page[end : end + 4])
        then = -1 if version is None else max(version, self.journal.end_of_transaction(version))
        for as_of, linked in ((then, True), (self._frame_count(), True), (then, False)):
            rest = self._chain(first, size - local, as_of, linked=linked)
            if rest is not None:
                yield page[at:end] + rest

    def _chain(self, number: int, size: int, as_of: int, *, linked: bool) -> bytes | None:
        """Return `size` bytes from page `number` on, each page leading to the next; or, if not `linked`, in a row."""
        content = bytearray()
        while len(content) < size:
            page = self._newest(number, as_of)
            if page is None:
                return None
            content += page[4 : 4 + min(_CHAINED, size - len(content))]
            number = int.from_bytes(page[:4]) if linked else number + 1 + ((number + 1 - 2) % _MAP_EVERY == 0)
        return bytes(content)

    def _newest(self, number: int, as_of: int) -> bytes | None:
        """Return page `number` as it was when frame `as_of` was written."""
        for version in reversed(self._versions.get(number, ())):
            if version <= as_of:
                return self._frame(version)
        return self._page(number - 1) if 1 <= number <= self._page_count() else None

    def _page(self, index: int) -> bytes:
        return self._file.read(index * PAGE_BYTES, PAGE_BYTES)

    def _page_count(self) -> int:
        return -(-self._file.size // PAGE_BYTES)

    def _frame(self, number: int) -> bytes:
        at = HEADER_BYTES + number * FRAME_BYTES + FRAME_HEADER_BYTES
        return self._frames_bytes.read(at, PAGE_BYTES)

    def _frame_count(self) -> int:
        # One that was cut off holds rows, too.
        behind_header = self._frames_bytes.size - HEADER_BYTES
        return max(0, -(-(behind_header - FRAME_HEADER_BYTES) // FRAME_BYTES))

    def _page_of(self, number: int) -> int:
        at = HEADER_BYTES + number * FRAME_BYTES
        return int.from_bytes(self._frames_bytes.read(at, 4))


class _Bytes:
    """A file's bytes; those that are not there or that the disk does not give are zeros."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._descriptor: int | None = None
        self.size = 0
        with suppress(FileNotFoundError):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, self._descriptor)
            self.size = os.fstat(self._descriptor).st_size

    def read(self, at: int, count: int) -> bytes:
        found = b""
        if self._descriptor is not None:
            with suppress(OSError):
                found = os.pread(self._descriptor, count, at)
        return found.ljust(count, b"\0")


def _varint(page: bytes, at: int) -> tuple[int, int]:
    """Return the number at `at` and where it ends."""
    value = 0
    for position in range(at, min(at + 5, PAGE_BYTES)):
        value = value << 7 | page[position] & 0x7F
        if page[position] < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            return value, position + 1
    return 0, at


def _varint_before(page: bytes, at: int) -> int:
    """Return the number that ends before `at`: the row's id."""
    value, shift = 0, 0
    for position in range(at - 1, max(at - 10, -1), -1):
        if shift and page[position] < 0x80:  # noqa: PLR2004 - as above
            break
        value |= (page[position] & 0x7F) << shift
        shift += 7
    return value & (1 << 62) - 1
