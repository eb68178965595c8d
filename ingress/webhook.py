"""`POST /webhooks/metriport`: read, verify, keep, answer. Metriport waits four seconds and never comes again."""

from collections.abc import Callable, Sequence
from datetime import datetime
from time import perf_counter

import orjson
from aiohttp import web

from ingress.body import Inflight, read
from ingress.keeping import Keeper
from ingress.records import Delivery
from ingress.senders import HEADERS, Sender
from models import envelope, signature, telemetry
from models.errors import BadSignature
from models.headers import timestamp


class Webhook:
    """The handler of the webhook route; refusals leave it as `Refused`."""

    def __init__(
        self,
        keeper: Keeper,
        *,
        keys: Sequence[bytes],
        inflight: Inflight,
        body_bytes_max: int,
        body_timeout_s: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._keeper = keeper
        self._keys = keys
        self._inflight = inflight
        self._body_bytes_max = body_bytes_max
        self._body_timeout_s = body_timeout_s
        self._clock = clock

    async def receive(self, request: web.BaseRequest) -> web.Response:
        """Answer one delivery: 200 means kept."""
        started = perf_counter()
        telemetry.RECEIVED()
        signed = _signature(request)
        with self._inflight.hold() as held:
            body = await read(request, held, bytes_max=self._body_bytes_max, timeout_s=self._body_timeout_s)
            telemetry.KEY_MATCHED(key=self._matching(body, signed))
            if isinstance(request.protocol, Sender):
                request.protocol.has_delivered = True

            about = envelope.read(body)
            if about.ping is not None:
                telemetry.PONG()
                return web.Response(body=orjson.dumps({"pong": about.ping}), headers=HEADERS)

            kept_in = await self._keeper.keep(Delivery(body, timestamp(self._clock())), about)
        telemetry.ACKNOWLEDGED(kept_in=kept_in)
        telemetry.ANSWERED(perf_counter() - started)
        return web.Response(body=b"{}", headers=HEADERS)

    def _matching(self, body: bytes, signed: str) -> int:
        """Return which key signed the body; every key is tried, so the time taken does not tell."""
        found = [signature.matches(body, signed, key=key) for key in self._keys]
        if True not in found:
            raise BadSignature
        return found.index(True)


def _signature(request: web.BaseRequest) -> str:
    """Return the one signature there is, before anything of the body is read."""
    offered = request.headers.getall(signature.HEADER, ())
    if len(offered) != 1 or not signature.well_formed(offered[0]):
        raise BadSignature
    return offered[0]
