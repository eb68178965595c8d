"""The spool's journal as bytes: whether SQLite will find in it all that was written.

SQLite reads a write-ahead log up to the first frame whose checksum is wrong, and forgets what lies behind. That is
right after a power cut, which can only tear what was not synced yet, and loses what was acknowledged when one bit of
an earlier frame has changed. The two are told apart here, before SQLite looks.

Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log. A frame's checksum goes on from the one of the
frame before, so with the stored one as its start each frame can be judged alone. Pure.
"""

import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

PAGE_BYTES = 4096
HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES
SECTOR_BYTES = 512

_MAGIC = 0x377F0682
_WORD_MASK = 0xFFFFFFFF
_NATIVE = {"little": "<", "big": ">"}[sys.byteorder]

State = Literal["whole", "torn", "damaged"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One page as it was written. `pages` is not 0 at the end of a transaction: the size of the file from there on."""

    page: int
    pages: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Journal:
    """The frames of a journal in order, and what SQLite will make of them.

    `whole`: it will read them all. `torn`: those from `doubtful` on were not synced when the power went, or the
    process, and it will rightly forget them. `damaged`: it would forget what was.
    """

    frames: Sequence[Frame]
    state: State
    doubtful: int | None = None

    def end_of_transaction(self, frame: int) -> int:
        """Return the last frame of the transaction that `frame` belongs to."""
        return max(frame, _commit(self.frames, frame) or len(self.frames) - 1)

    @property
    def certain(self) -> Sequence[Frame]:
        """The frames that SQLite will read."""
        return self.frames[: self.doubtful]


def read(data: bytes) -> Journal:
    """Return what `data`, all bytes of a journal, holds."""
    count = max(0, len(data) - HEADER_BYTES) // FRAME_BYTES
    if not count:
        return Journal((), "torn" if len(data) > HEADER_BYTES else "whole", 0)
    order, header_whole = _header(data)
    salts = data[16:24] if header_whole else _usual_salts(data, count)
    frames, before = [], struct.unpack_from(">2I", data, 24)
    for number in range(count):
        at = HEADER_BYTES + number * FRAME_BYTES
        page, pages = struct.unpack_from(">2I", data, at)
        stored = struct.unpack_from(">2I", data, at + 16)
        whole = stored == _checksum(data, at, order, before) and data[at + 8 : at + 16] == salts
        frames.append(Frame(page, pages, whole))
        before = stored
    if header_whole:
        frames = frames[: _end(data, frames, salts)]
    return _judged(data, frames, header_whole=header_whole)


def _header(data: bytes) -> tuple[str, bool]:
    """Return the byte order of the checksums, and whether the header is as it was written."""
    magic, _, page_bytes = struct.unpack_from(">3I", data)
    if magic & ~1 != _MAGIC or page_bytes != PAGE_BYTES:
        return _NATIVE, False
    order = ">" if magic & 1 else "<"
    return order, _sum(struct.unpack_from(f"{order}6I", data), (0, 0)) == struct.unpack_from(">2I", data, 24)


def _usual_salts(data: bytes, count: int) -> bytes:
    offsets = range(HEADER_BYTES + 8, HEADER_BYTES + count * FRAME_BYTES, FRAME_BYTES)
    found = [data[at : at + 8] for at in offsets]
    return max(set(found), key=found.count)


def _end(data: bytes, frames: Sequence[Frame], salts: bytes) -> int:
    """Return where what is left of an earlier journal begins, written over from the start: there both salts differ."""
    end = len(frames)
    while end:
        at = HEADER_BYTES + (end - 1) * FRAME_BYTES + 8
        if data[at : at + 4] == salts[:4] or data[at + 4 : at + 8] == salts[4:] or not any(data[at : at + 8]):
            break
        end -= 1
    return end


def _judged(data: bytes, frames: Sequence[Frame], *, header_whole: bool) -> Journal:
    bad = [number for number, frame in enumerate(frames) if not frame.whole]
    if header_whole and not bad:
        end = _begin(frames, len(frames))
        is_all = len(data) == HEADER_BYTES + end * FRAME_BYTES
        return Journal(frames, "whole") if is_all else Journal(frames, "torn", end)
    first = bad[0] if header_whole else 0
    begin, commit = _begin(frames, first), _commit(frames, first)
    # A transaction begins when the one before it is on the disk: with another one behind it, this one was.
    if commit is not None and any(frame.whole for frame in frames[commit + 1 :]):
        return Journal(frames, "damaged", begin)
    torn = all(
        (commit is None or _reads_as_zeros(data, number)) and not _has_one_odd_word(data, number) for number in bad
    )
    torn = torn and (header_whole or not any(data[:SECTOR_BYTES]))
    return Journal(frames, "torn" if torn else "damaged", begin)


def _begin(frames: Sequence[Frame], end: int) -> int:
    """Return where the transaction begins that holds what is before `end`, if that is not the end of one."""
    return next((number for number in range(end, 0, -1) if frames[number - 1].pages), 0)


def _commit(frames: Sequence[Frame], start: int) -> int | None:
    """Return the first frame from `start` on that ends a transaction."""
    return next((number for number in range(start, len(frames)) if frames[number].pages), None)


def _reads_as_zeros(data: bytes, number: int) -> bool:
    """Tell whether some of this frame, or the checksum before it, was perhaps never written."""
    at = HEADER_BYTES + number * FRAME_BYTES
    before = at - PAGE_BYTES - 8 if number else 24
    sectors = range(before // SECTOR_BYTES * SECTOR_BYTES, at + FRAME_BYTES, SECTOR_BYTES)
    return any(not any(data[start : start + SECTOR_BYTES]) for start in sectors)


def _has_one_odd_word(data: bytes, number: int) -> bool:
    """Tell whether this frame would be whole if one word of it were another: that changed, it was not left out."""
    at = HEADER_BYTES + number * FRAME_BYTES
    order, _ = _header(data)
    start = struct.unpack_from(">2I", data, at - PAGE_BYTES - 8 if number else 24)
    found, stored = _checksum(data, at, order, start), struct.unpack_from(">2I", data, at + 16)
    wrong = [(one - other) & _WORD_MASK for one, other in zip(found, stored, strict=True)]
    # What a word adds to the sums depends on how many pairs of words follow it; from the last pair to the first.
    for word in ((1, 1), (0, 1)):
        first, second = word
        for _ in range((8 + PAGE_BYTES) // 8):
            factor, share = (first, wrong[0]) if first & 1 else (second, wrong[1])
            change = share * pow(factor, -1, 1 << 32) & _WORD_MASK if factor & 1 else 0
            if change and [change * first & _WORD_MASK, change * second & _WORD_MASK] == wrong:
                return True
            first, second = (first + second) & _WORD_MASK, (first + 2 * second) & _WORD_MASK
    return False


def _checksum(data: bytes, at: int, order: str, start: tuple[int, ...]) -> tuple[int, ...]:
    begun = _sum(struct.unpack_from(f"{order}2I", data, at), start)
    return _sum(struct.unpack_from(f"{order}{PAGE_BYTES // 4}I", data, at + FRAME_HEADER_BYTES), begun)


def _sum(words: Sequence[int], start: tuple[int, ...]) -> tuple[int, ...]:
    first, second = start
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = first + even + second & _WORD_MASK
        second = second + odd + first & _WORD_MASK
    return first, second
