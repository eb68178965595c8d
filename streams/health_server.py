"""HTTP for the operator's tools: a few small answers, whoever asks, however many, however slowly and however oddly.

Anybody who reaches the port may ask. So every answer is ours and quotes nothing, each connection is for one request and
lives a few seconds, and where there are too many the oldest makes room: nobody can keep the operator's tools out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from models import telemetry

CONNECTIONS_MAX = 64
CONNECTION_S_MAX = 10.0
HEAD_BYTES_MAX = 8 * 2**10
HEAD_LINES_MAX = 64

HEADERS = {"Content-Type": "application/json", "Server": "metriport-streams"}

Answer = Callable[[], web.Response]


class HealthServer(web.Server):
    """Answers GET and HEAD on these paths."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(
            _answering(answers),
            access_log=None,
            lingering_time=0,
            max_line_size=HEAD_BYTES_MAX,
            max_field_size=HEAD_BYTES_MAX,
            max_headers=HEAD_LINES_MAX,
        )

    def __call__(self) -> "Connection":
        """Return the protocol of a new connection."""
        return Connection(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Let one in, and the oldest out if there are too many now."""
        super().connection_made(handler, transport)
        if len(self._connections) > CONNECTIONS_MAX:
            oldest = next(iter(self._connections.values()))
            oldest.abort()
        self._loop.call_later(CONNECTION_S_MAX, transport.abort)


class Connection(web.RequestHandler):
    """One connection."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes what came
    ) -> web.StreamResponse:
        """Return the answer to what is no HTTP, or to an error that nobody foresaw."""
        if request.writer.output_size:
            raise ConnectionError("it was answered already")
        if status == HTTPStatus.BAD_REQUEST:
            return _closing(refusal(HTTPStatus.BAD_REQUEST, "bad_request"))
        telemetry.HEALTH_FAILED(error=type(exc).__name__)
        return _closing(refusal(HTTPStatus.SERVICE_UNAVAILABLE, "failed"))


def as_json(facts: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """Return an answer that says these facts."""
    return web.Response(status=status, body=orjson.dumps(facts), headers=HEADERS)


def refusal(status: HTTPStatus, reason: str) -> web.Response:
    """Return an answer that says why there is no other, in the form that the ingress has for it."""
    return as_json({"error": reason}, status=status)


def _answering(answers: Mapping[str, Answer]) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        found = answers.get(request.path)
        if found is None:
            return _closing(refusal(HTTPStatus.NOT_FOUND, "not_found"))
        if request.method not in {"GET", "HEAD"}:
            refused = refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed")
            refused.headers["Allow"] = "GET, HEAD"
            return _closing(refused)
        return _closing(found())

    return answer


def _closing(response: web.Response) -> web.Response:
    response.force_close()
    return response
