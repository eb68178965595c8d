"""Reading a request's body: never more than the limit, never longer than the deadline, never decoded."""

import asyncio
from typing import Self

from aiohttp import HttpVersion11, hdrs, web

from models import telemetry
from models.errors import CannotKeep, EncodedBody, SlowBody, TooLarge

# A body a little too large is read to its end, so that the sender is there to hear the 413; a larger one is not.
EXCESS_BYTES_MAX = 64 * 2**10


class Inflight:
    """The bytes of all bodies held right now, and the most there may be beyond what is small of each.

    The first `small_bytes` of a body are never refused: there are as many of those as connections, and the caller has
    room for all of them. So whoever holds the rest with large bodies keeps no small one out.
    """

    def __init__(self, large_bytes_max: int, *, small_bytes: int) -> None:
        self._large_bytes_max = large_bytes_max
        self._small_bytes = small_bytes
        self._bytes = self._large_bytes = 0
        telemetry.INFLIGHT_BYTES.set_function(lambda: self._bytes)

    def hold(self) -> "Held":
        """Open an account for one request, to be used with `with`."""
        return Held(self)

    def grow(self, before: int, after: int) -> None:
        """Let a body grow, or raise `CannotKeep`: better one sender refused than all of them killed with us."""
        large = self._large(after) - self._large(before)
        if large and self._large_bytes + large > self._large_bytes_max:
            raise CannotKeep
        self._bytes += after - before
        self._large_bytes += large

    def give_back(self, size: int) -> None:
        """Free a body of `size` bytes."""
        self._bytes -= size
        self._large_bytes -= self._large(size)

    def _large(self, size: int) -> int:
        return size - self._small_bytes if size > self._small_bytes else 0


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
        self._inflight.grow(self.bytes, self.bytes + size)
        self.bytes += size


async def read(request: web.BaseRequest, held: Held, *, bytes_max: int, timeout_s: float) -> bytes:
    """Return the body exactly as sent.

    Raises `EncodedBody`, `TooLarge`, `SlowBody` (also when the sender goes away in the middle), or `CannotKeep` when
    the bodies held together are too many.
    """
    if hdrs.CONTENT_ENCODING in request.headers and not _is_as_sent(request):
        raise EncodedBody
    try:
        # Most bodies came together with their headers: they need no clock.
        if request.content.is_eof():
            return _arrived(request, held, bytes_max)
        if (request.content_length or 0) > bytes_max + EXCESS_BYTES_MAX:
            raise TooLarge
        _ask_for_it(request)
        async with asyncio.timeout(timeout_s):
            return await _read(request, held, bytes_max)
    except (TimeoutError, ConnectionError, web.RequestPayloadError):
        raise (TooLarge if held.bytes > bytes_max else SlowBody) from None


def _is_as_sent(request: web.BaseRequest) -> bool:
    """Whether each encoding that is named is none (RFC 9110, section 8.4.1)."""
    named = ",".join(request.headers.getall(hdrs.CONTENT_ENCODING)).split(",")
    return all(name.strip().lower() in {"", "identity"} for name in named)


def _ask_for_it(request: web.BaseRequest) -> None:
    """Tell a sender that waits for it that its body is wanted (RFC 9110, section 10.1.1)."""
    wanted = request.headers.get(hdrs.EXPECT, "").lower() == "100-continue"
    sender = request.transport
    if wanted and request.version >= HttpVersion11 and sender is not None and not sender.is_closing():
        sender.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _arrived(request: web.BaseRequest, held: Held, bytes_max: int) -> bytes:
    body = request.content.read_nowait()
    held.take(len(body))
    if held.bytes > bytes_max:
        raise TooLarge
    return body


async def _read(request: web.BaseRequest, held: Held, bytes_max: int) -> bytes:
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


async def _discard(request: web.BaseRequest, bytes_max: int) -> None:
    while bytes_max > 0 and not request.content.at_eof():
        bytes_max -= len(await request.content.readany())
