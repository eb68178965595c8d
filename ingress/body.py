"""Reading a request's body: never more than the limit, never longer than the deadline, never decoded."""

import asyncio
from typing import Self

from aiohttp import hdrs, web

from models import telemetry
from models.errors import CannotKeep, EncodedBody, SlowBody, TooLarge

# A body a little too large is read to its end, so that the sender is there to hear the 413; a larger one is not.
EXCESS_BYTES_MAX = 64 * 2**10


class Inflight:
    """The bytes of all bodies held right now, and the most there may be."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        telemetry.INFLIGHT_BYTES.set_function(lambda: self._bytes)

    def hold(self) -> "Held":
        """Open an account for one request, to be used with `with`."""
        return Held(self)

    def take(self, size: int) -> None:
        """Take `size` bytes, or raise `CannotKeep`: better one sender refused than all of them killed with us."""
        if self._bytes + size > self._bytes_max:
            raise CannotKeep
        self._bytes += size

    def give_back(self, size: int) -> None:
        """Free `size` bytes."""
        self._bytes -= size


class Held:
    """What one request holds of the common account; given back at the end of the `with`."""

    __slots__ = ("_inflight", "bytes")

    def __init__(self, inflight: Inflight) -> None:
        self._inflight = inflight
        self.bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._inflight.give_back(self.bytes)

    def take(self, size: int) -> None:
        """Hold `size` bytes more, or raise `CannotKeep`."""
        self._inflight.take(size)
        self.bytes += size


async def read(request: web.Request, held: Held, *, bytes_max: int, timeout_s: float) -> bytes:
    """Return the body exactly as sent.

    Raises `EncodedBody`, `TooLarge`, `SlowBody` (also when the sender goes away in the middle), or `CannotKeep` when
    the bodies held together are too many.
    """
    if hdrs.CONTENT_ENCODING in request.headers:
        raise EncodedBody
    try:
        # Most bodies came together with their headers: they need no clock.
        if request.content.is_eof():
            return _arrived(request, held, bytes_max)
        if (request.content_length or 0) > bytes_max + EXCESS_BYTES_MAX:
            raise TooLarge
        async with asyncio.timeout(timeout_s):
            return await _read(request, held, bytes_max)
    except (TimeoutError, ConnectionError, web.RequestPayloadError):
        raise (TooLarge if held.bytes > bytes_max else SlowBody) from None


def _arrived(request: web.Request, held: Held, bytes_max: int) -> bytes:
    body = request.content.read_nowait()
    held.take(len(body))
    if held.bytes > bytes_max:
        raise TooLarge
    return body


async def _read(request: web.Request, held: Held, bytes_max: int) -> bytes:
    stream = request.content
    chunks: list[bytes] = []
    while not stream.at_eof():
        chunk = await stream.readany()
        held.take(len(chunk))
        chunks.append(chunk)
        if held.bytes > bytes_max:
            await _discard(request, bytes_max + EXCESS_BYTES_MAX - held.bytes)
            raise TooLarge
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _discard(request: web.Request, bytes_max: int) -> None:
    while bytes_max > 0 and not request.content.at_eof():
        bytes_max -= len(await request.content.readany())
