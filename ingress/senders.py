"""The connections of senders: how many there may be, how large and how slow a head, and what is not HTTP at all.

Nobody has shown a key yet, so nothing here grows with what a sender does: a head is held until it is complete, up to
`head_bytes_max` and for `head_timeout_s`; what comes behind a request waits for the answer to it, within the same
bytes; and when there are `connections_max`, the one that has waited longest for a complete request makes room.
What is leaned on of aiohttp beyond its API is `_messages`; a test fails when it changes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader

from models import telemetry
from models.errors import BadRequest, CannotKeep, HeadTooLarge, Refused, SlowHead

HEADERS = {"Content-Type": "application/json", "Server": "metriport-streams"}

# A sender that was refused before all it has to say is read gets this long to read the answer before it is cut off.
LAST_WORD_S = 0.5
# Each takes some hundred bytes once it is read, however short it is. Metriport sends ten, proxies may add thirty.
HEAD_LINES_MAX = 100
# A body without a length is read in steps of this size, so that little of what is behind it is read with it.
STEP_BYTES = 16 * 2**10

_END = b"\r\n\r\n"
_VERSIONS = (b" HTTP/1.1", b" HTTP/1.0")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Senders(web.Server):
    """All connections, those without a complete request in the order in which they began to wait for one.

    Where one must make room, it is one that has shown nothing yet, the oldest of those; only then one that is in the
    middle of a body, or has delivered before.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        connections_max: int,
        head_bytes_max: int,
        head_timeout_s: float,
        **http: Any,  # noqa: ANN401 - what aiohttp's protocol takes
    ) -> None:
        # Within our own bounds aiohttp's must never be met.
        http |= {"max_line_size": head_bytes_max, "max_field_size": head_bytes_max, "max_headers": HEAD_LINES_MAX}
        super().__init__(handler, **http)
        self.head_bytes_max = head_bytes_max
        self.head_timeout_s = head_timeout_s
        self._connections_max = connections_max
        self._open: set[Sender] = set()
        self._unknown: dict[Sender, None] = {}
        self._known: dict[Sender, None] = {}
        telemetry.CONNECTIONS.set_function(lambda: len(self._open))

    def __call__(self) -> "Sender":
        """Return the protocol of a new connection."""
        return Sender(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Let a sender in, and out the one that has waited longest if there are too many now."""
        super().connection_made(handler, transport)
        assert isinstance(handler, Sender)
        self._open.add(handler)
        self._unknown[handler] = None
        if len(self._open) > self._connections_max:
            oldest = next(iter(self._unknown))
            if oldest is handler and self._known:
                oldest = next(iter(self._known))
            oldest.cut("connections_max")

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a sender."""
        super().connection_lost(handler, exc)
        assert isinstance(handler, Sender)
        self.forget(handler)

    def begun(self, sender: "Sender") -> None:
        """Note that a request is here to the end of its head."""
        if sender in self._open:
            self._unknown.pop(sender, None)
            self._known.setdefault(sender)

    def complete(self, sender: "Sender") -> None:
        """Note that a request is here to its last byte: its sender is none of those that make room."""
        self._unknown.pop(sender, None)
        self._known.pop(sender, None)

    def answered(self, sender: "Sender", *, has_delivered: bool) -> None:
        """Note that the next request may come."""
        self.complete(sender)
        if sender in self._open:
            (self._known if has_delivered else self._unknown)[sender] = None

    def forget(self, sender: "Sender") -> None:
        """Count a sender no more."""
        self._open.discard(sender)
        self.complete(sender)


class Sender(web.RequestHandler):
    """One connection: request by request, each with its answer before the next one is looked at."""

    __slots__ = ("_body", "_body_left", "_clock", "_received", "_senders", "_wire_bytes", "has_delivered")

    def __init__(self, senders: Senders, **http: Any) -> None:  # noqa: ANN401 - what aiohttp's protocol takes
        super().__init__(senders, **http)
        self._senders = senders
        # What has come of a head that is not complete, or from behind a request that is not answered.
        self._received = b""
        self._clock: asyncio.TimerHandle | None = None
        # Whether a key of ours has signed something that came this way.
        self.has_delivered = False
        # The body of the request that is not answered yet, and what is still to come of it; None: nobody has said.
        self._body: StreamReader | None = None
        self._body_left: int | None = 0
        self._wire_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self._close or self._force_close:
            return
        if self._body is None:
            self._take_head(data)
        elif self._body.is_eof():
            self._wait_for_turn(data)
        else:
            self._take_body(data)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # asyncio's; aiohttp narrows it
        """Keep a sender that has said all it wanted until it is answered; one that stopped before gets no answer."""
        if self._body is None or not self._body.is_eof():
            return None
        self.close()
        return True

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer, then look at what came in the meantime."""
        if self._close:
            resp.force_close()
        finished = await super().finish_response(request, resp, start_time)
        self._body = None
        self._senders.answered(self, has_delivered=self.has_delivered)
        if self._received and resp.keep_alive:
            self.data_received(b"")
        return finished

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes what came
    ) -> web.StreamResponse:
        """Return the answer to what aiohttp could not read, or to an error that nobody foresaw."""
        if request.writer.output_size:
            raise ConnectionError("it was answered already")
        refused: Refused = BadRequest()
        if status == HTTPStatus.BAD_REQUEST:
            telemetry.HTTP_UNREADABLE(reason=refused.reason)
        else:
            refused = CannotKeep()
            telemetry.FATAL(sentence="a request ended in an error nobody foresaw", error=type(exc).__name__)
        response = web.Response(status=refused.status, body=_body(refused), headers=HEADERS)
        response.force_close()
        return response

    def pause_writing(self) -> None:
        """Cut off a sender that reads no answers: what it leaves unread would be held here."""
        super().pause_writing()
        self.cut("unread_answers")

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let go of everything."""
        self._stop_clock()
        self._received = b""
        super().connection_lost(exc)

    def cut(self, reason: str) -> None:
        """End the connection at once."""
        telemetry.CONNECTION_CUT(reason=reason)
        self._senders.forget(self)
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()

    def _take_head(self, data: bytes) -> None:
        # RFC 9112, section 2.2: empty lines before a request are no part of it.
        received = (self._received + data).lstrip(b"\r\n")
        end = received.find(_END) + len(_END)
        size = len(received) if end < len(_END) else end
        if size > self._senders.head_bytes_max or received.count(b"\r\n", 0, size) > HEAD_LINES_MAX:
            self._refuse(HeadTooLarge())
        elif received and not received[:1].isupper():
            # No method begins like this (TLS does, for one), and an end of the head may never come.
            self._refuse(BadRequest())
        elif end < len(_END):
            self._received = received
            if self._clock is None:
                self._clock = self._loop.call_later(self._senders.head_timeout_s, self._refuse, SlowHead())
        elif not received.endswith(_VERSIONS, 0, received.find(b"\r\n")):
            self._refuse(BadRequest())
        else:
            self._stop_clock()
            self._received = b""
            self._begin(received[:end], received[end:])

    def _begin(self, head: bytes, behind: bytes) -> None:
        super().data_received(head)
        if not self._messages:
            self._refuse(BadRequest())
            return
        message, self._body = self._messages[-1]
        self._wire_bytes = 0
        if isinstance(message, RawRequestMessage):
            self._body_left = None if message.chunked else int(message.headers.get(hdrs.CONTENT_LENGTH, "0"))
        if self._body.is_eof():
            self._senders.complete(self)
            if behind:
                self._wait_for_turn(behind)
        else:
            self._senders.begun(self)
            if behind:
                self._take_body(behind)

    def _take_body(self, data: bytes) -> None:
        body = self._body
        assert body is not None
        if self._body_left is None:
            self._take_chunks(body, data)
        else:
            own, behind = data[: self._body_left], data[self._body_left :]
            self._body_left -= len(own)
            super().data_received(own)
            if behind:
                self._wait_for_turn(behind)
        if body.is_eof():
            self._senders.complete(self)

    def _take_chunks(self, body: StreamReader, data: bytes) -> None:
        waiting = len(self._messages)
        self._wire_bytes += len(data)
        for start in range(0, len(data) or 1, STEP_BYTES):
            super().data_received(data[start : start + STEP_BYTES])
            if body.is_eof():
                # Where it ended only the parser knows, which has read on: this connection has had its last request.
                self.close()
                return
            if len(self._messages) > waiting:
                # What is no chunk was put behind the request, as something to be answered after it.
                self._messages.pop()
                body.set_exception(BadRequest())
                return
        # Sizes, extensions and trailers: none of them is body, and the parser holds on to some.
        if self._wire_bytes - body.total_bytes > body.total_bytes + self._senders.head_bytes_max:
            body.set_exception(BadRequest())

    def _wait_for_turn(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > self._senders.head_bytes_max:
            self._received = b""
            self.close()

    def _refuse(self, refused: Refused) -> None:
        """Answer what is not, or not yet, a request."""
        telemetry.HTTP_UNREADABLE(reason=refused.reason)
        self._stop_clock()
        self._received = b""
        self.close()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(_answer(refused))
            self.transport.pause_reading()
            self._loop.call_later(LAST_WORD_S, self.transport.abort)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


def _body(refused: Refused) -> bytes:
    return orjson.dumps({"error": refused.reason})


def _answer(refused: Refused) -> bytes:
    body = _body(refused)
    headers = HEADERS | {"Date": formatdate(usegmt=True), "Content-Length": str(len(body)), "Connection": "close"}
    lines = [
        f"HTTP/1.1 {refused.status} {HTTPStatus(refused.status).phrase}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
