"""What is answered: the routes, and how a refusal becomes an answer.

Without aiohttp's `Application`: it would answer some requests itself, quoting them.
"""

import asyncio
import contextlib
from collections.abc import Mapping

import orjson
from aiohttp import web

from ingress.health import Health
from ingress.senders import HEADERS, LAST_WORD_S, Handler
from ingress.webhook import Webhook
from models import telemetry
from models.errors import CannotKeep, Refused

WEBHOOK_PATH = "/webhooks/metriport"


class App:
    """Answers every request, in one form, whatever becomes of it."""

    def __init__(self, *, webhook: Webhook, health: Health) -> None:
        self._posts: Mapping[str, Handler] = {WEBHOOK_PATH: webhook.receive}
        self._gets: Mapping[str, Handler] = {
            "/live": health.live,
            "/ready": health.ready,
            "/metrics": health.metrics,
        }

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Return the answer."""
        try:
            response = await self._handler(request.method, request.path)(request)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - `_refused` tells them apart
            response = _refused(error)
        if not request.content.is_eof():
            await _hang_up(request, response)
        return response

    def _handler(self, method: str, path: str) -> Handler:
        if path in self._posts:
            return self._posts[path] if method == "POST" else _only_post
        if path in self._gets:
            return self._gets[path] if method in {"GET", "HEAD"} else _only_get
        return _not_found


async def _not_found(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=404, body=b'{"error":"not_found"}', headers=HEADERS)


async def _only_post(_: web.BaseRequest) -> web.StreamResponse:
    return _not_allowed("POST")


async def _only_get(_: web.BaseRequest) -> web.StreamResponse:
    return _not_allowed("GET, HEAD")


def _not_allowed(allowed: str) -> web.Response:
    return web.Response(status=405, body=b'{"error":"method_not_allowed"}', headers=HEADERS | {"Allow": allowed})


def _refused(error: BaseException) -> web.Response:
    """Return the answer to a request that ended in `error`; raise it again where nobody is left to hear."""
    if isinstance(error, Refused):
        return _refusal(error)
    if isinstance(error, asyncio.CancelledError):
        # The process ends and can wait no longer; the connection goes with it.
        telemetry.REFUSED(reason=CannotKeep.reason)
        raise error
    # The border of the process: a mistake of ours must not say what came.
    telemetry.FATAL(sentence="a request ended in an error nobody foresaw", error=type(error).__name__)
    return _refusal(CannotKeep())


def _refusal(refused: Refused) -> web.Response:
    telemetry.REFUSED(reason=refused.reason, status=refused.status)
    return web.Response(status=refused.status, body=orjson.dumps({"error": refused.reason}), headers=HEADERS)


async def _hang_up(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Answer at once, read nothing more, and leave the sender a moment to notice."""
    response.force_close()
    await response.prepare(request)
    await response.write_eof()
    if request.transport is not None:
        # What is here already is not kept for that moment.
        with contextlib.suppress(Refused, ConnectionError, web.RequestPayloadError):
            request.content.read_nowait()
        request.protocol.pause_reading()
        await asyncio.sleep(LAST_WORD_S)
