"""What a body turns out to be while it flows: inflated where it is gzip, counted, hashed, its first bytes kept."""

import hashlib
from collections.abc import Iterable, Iterator

from streams.links.content_type import GZIP_MAGIC, HEAD_BYTES
from streams.links.fetching.inflate import Inflater
from streams.links.limits import FetchLimits


class Intake:
    """Takes the blocks of one body as they came over the wire, gives back the pieces to store.

    Feeding and taking may go on in two threads: the next piece is inflated while the last one is hashed.
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
        """Whether the body may be gzip, so that feeding takes long."""
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
        """Yield what to store of `block`; raise as `Inflater` does."""
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
