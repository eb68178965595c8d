"""The HTTP application: its routes, and how a refusal becomes an answer."""

import asyncio
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from ingress.health import Health
from ingress.webhook import HEADERS, Webhook
from models import telemetry
from models.errors import CannotKeep, Refused

WEBHOOK_PATH = "/webhooks/metriport"

# A sender that was refused in the middle of its body gets this long to read the answer before it is cut off.
LAST_WORD_S = 0.5

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(*, webhook: Webhook, health: Health) -> web.Application:
    """Return the application made of these parts."""
    # Limits on the body are the webhook's own; no other route reads one.
    app = web.Application()
    app.router.add_post(WEBHOOK_PATH, _answering(webhook.receive))
    app.router.add_route("*", WEBHOOK_PATH, _answering(_not_allowed("POST")))
    for path, handler in (("/live", health.live), ("/ready", health.ready), ("/metrics", health.metrics)):
        app.router.add_get(path, _answering(handler))
        app.router.add_route("*", path, _answering(_not_allowed("GET, HEAD")))
    app.router.add_route("*", "/{anything:.*}", _answering(_not_found))
    return app


def _answering(handler: Handler) -> Handler:
    """Wrap a handler so that every request is answered in the same form, whatever became of it.

    Around each handler and not as a middleware, which aiohttp puts together anew for every request.
    """

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            response = await handler(request)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - `_refused` tells them apart
            response = _refused(error)
        if not request.content.is_eof():
            await _hang_up(request, response)
        return response

    return answer


async def _not_found(_: web.Request) -> web.Response:
    return web.Response(status=404, body=b'{"error":"not_found"}', headers=HEADERS)


def _not_allowed(allowed: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        headers = HEADERS | {"Allow": allowed}
        return web.Response(status=405, body=b'{"error":"method_not_allowed"}', headers=headers)

    return answer


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


async def _hang_up(request: web.Request, response: web.StreamResponse) -> None:
    """Answer at once, read nothing more, and leave the sender a moment to notice."""
    response.force_close()
    await response.prepare(request)
    await response.write_eof()
    if request.transport is not None:
        request.protocol.pause_reading()
        await asyncio.sleep(LAST_WORD_S)
