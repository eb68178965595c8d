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

_WORDS = {404: "not_found", 405: "method_not_allowed"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(*, webhook: Webhook, health: Health) -> web.Application:
    """Return the application made of these parts."""
    # Limits on the body are the webhook's own; no other route reads one.
    app = web.Application(middlewares=[_answer])
    app.router.add_post(WEBHOOK_PATH, webhook.receive)
    app.router.add_get("/live", health.live)
    app.router.add_get("/ready", health.ready)
    app.router.add_get("/metrics", health.metrics)
    return app


@web.middleware
async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every request in the same form, whatever became of it."""
    response = await _answered(request, handler)
    if not request.content.is_eof():
        await _hang_up(request, response)
    return response


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return _refusal(refused)
    except web.HTTPException as error:
        word = _WORDS.get(error.status, "bad_request")
        headers = HEADERS | ({"Allow": error.headers["Allow"]} if "Allow" in error.headers else {})
        return web.Response(status=error.status, body=orjson.dumps({"error": word}), headers=headers)
    except asyncio.CancelledError:
        # The process ends and can wait no longer; the connection goes with it.
        telemetry.REFUSED(reason=CannotKeep.reason)
        raise
    except Exception as error:  # noqa: BLE001 - the border of the process: a mistake of ours must not say what came
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
