"""Read a body as it comes: inflate it where it is gzip, within bounds; count and hash it, keep its first bytes."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator

from models.errors import MetriportStreamsError
from streams.links.content_type import GZIP_MAGIC, HEAD_BYTES
from streams.links.limits import MIB, FetchLimits

PIECE_BYTES = MIB
_GZIP = 16 + zlib.MAX_WBITS  # https://docs.python.org/3/library/zlib.html#zlib.decompressobj


class CannotInflate(MetriportStreamsError):
    """The bytes are not a whole gzip stream."""


class TooInflated(MetriportStreamsError):
    """The stream grows beyond the limits: a bomb, or larger than this installation wants."""


class Body:
    """Takes the blocks of one body as they came over the wire, gives back the pieces to store.

    `feed` and `take` may be called in two threads: the next piece is inflated while the last one is hashed.
    """

    def __init__(self, limits: FetchLimits, *, inflate: bool) -> None:
        """`inflate`: gzip is only how the content travelled. Otherwise bytes that are gzip stay as they are."""
        self._limits = limits
        self._inflate = inflate
        self._inflater: Inflater | None = None
        self._start = b""
        self._started = False
        self._sha256 = hashlib.sha256()
        self.head = b""
        self.bytes = 0

    @property
    def inflates(self) -> bool:
        """Return whether the body may be gzip, so that feeding takes long."""
        return self._inflater is not None or (self._inflate and not self._started)

    def take(self, pieces: Iterable[bytes]) -> None:
        """Count and hash what is stored."""
        for piece in pieces:
            self.bytes += len(piece)
            self._sha256.update(piece)
            if len(self.head) < HEAD_BYTES:
                self.head += piece[: HEAD_BYTES - len(self.head)]

    @property
    def sha256(self) -> str:
        """The hash, in hex, of what was taken so far."""
        return self._sha256.hexdigest()

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Yield what to store of `block`; raise `CannotInflate` or `TooInflated`."""
        if not self._started:
            # One byte does not tell what it is; wait for the second.
            self._start += block
            if len(self._start) < len(GZIP_MAGIC):
                return
            block = self._begin()
        yield from self._inflater.feed(block) if self._inflater else (block,)

    def end(self) -> Iterator[bytes]:
        """Yield what is left once the body has ended; raise `CannotInflate` if gzip ended too early."""
        if not self._started and self._start:
            yield self._begin()
        if self._inflater:
            self._inflater.end()

    def _begin(self) -> bytes:
        self._started = True
        # A transport may have inflated already, so the bytes decide and not the headers.
        if self._inflate and self._start.startswith(GZIP_MAGIC):
            self._inflater = Inflater(self._limits)
        return self._start


class Inflater:
    """Inflates one gzip stream (of one or more members, RFC 1952), never holding more than a piece of its output."""

    def __init__(self, limits: FetchLimits) -> None:
        self._limits = limits
        self._member = zlib.decompressobj(_GZIP)
        self._bytes_in = 0
        self._bytes_out = 0

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Yield what `block` inflates to, at most `PIECE_BYTES` at a time; raise `CannotInflate` or `TooInflated`."""
        limits = self._limits
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
            out = self._bytes_out
            is_bomb = out > limits.inflate_ratio_after_bytes and out > self._bytes_in * limits.inflate_ratio_max
            if is_bomb or out > limits.inflated_bytes_max:
                raise TooInflated
            if piece:
                yield piece
            block = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            # A full piece may leave output behind inside zlib even where no input is left.
            more = bool(block) or (len(piece) == PIECE_BYTES and not self._member.eof)

    def end(self) -> None:
        """Raise `CannotInflate` unless the stream has come to its end."""
        if not self._member.eof:
            raise CannotInflate
