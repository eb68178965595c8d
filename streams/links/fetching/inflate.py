"""Inflating gzip as a stream, in bounded pieces, up to a bound."""

import zlib
from collections.abc import Iterator

from streams.links.limits import MIB, FetchLimits

PIECE_BYTES = MIB
_GZIP = 16 + zlib.MAX_WBITS


class CannotInflate(Exception):
    """The bytes are not a whole gzip stream."""


class TooInflated(Exception):
    """The stream grows beyond the limits: a bomb, or larger than this installation wants."""


class Inflater:
    """Inflates one gzip stream (of one or more members), never holding more than a piece of its output."""

    def __init__(self, limits: FetchLimits) -> None:
        self._limits = limits
        self._member = zlib.decompressobj(_GZIP)
        self._bytes_in = 0
        self._bytes_out = 0

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Yield what `block` inflates to, at most `PIECE_BYTES` at a time."""
        self._bytes_in += len(block)
        more = bool(block)
        while more:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            try:
                piece = self._member.decompress(block, PIECE_BYTES)
            except zlib.error:
                raise CannotInflate from None
            self._bytes_out += len(piece)
            self._check()
            if piece:
                yield piece
            block = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            # A full piece may leave output behind inside zlib even where no input is left.
            more = bool(block) or (len(piece) == PIECE_BYTES and not self._member.eof)

    def end(self) -> None:
        """Raise `CannotInflate` unless the stream has come to its end."""
        if not self._member.eof:
            raise CannotInflate

    def _check(self) -> None:
        limits, out = self._limits, self._bytes_out
        bomb = out > limits.inflate_ratio_after_bytes and out > self._bytes_in * limits.inflate_ratio_max
        if bomb or out > limits.inflated_bytes_max:
            raise TooInflated
