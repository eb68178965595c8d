"""`/live`, `/ready` and `/metrics`: what an operator's tools ask."""

from typing import Protocol

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ingress.keeping import Keeper
from ingress.senders import HEADERS
from models import telemetry


class Stated(Protocol):
    """Something that says how it is in one word."""

    @property
    def state(self) -> str:
        """`ok`, or what is wrong."""


class Connected(Stated, Protocol):
    """Kafka, as far as it is asked here."""

    @property
    def differs(self) -> dict[str, int] | None:
        """How the topic's partition count differs from TOPIC_PARTITIONS."""


class Spooled(Stated, Protocol):
    """The spool, as far as it is asked here."""

    set_aside: int


class Health:
    """The handlers of the operator's routes."""

    def __init__(self, keeper: Keeper, *, kafka: Connected, spool: Spooled) -> None:
        self._keeper = keeper
        self._kafka = kafka
        self._spool = spool

    async def live(self, _: web.BaseRequest) -> web.Response:
        """200 while the loop turns."""
        return _json(200, {"live": True})

    async def ready(self, _: web.BaseRequest) -> web.Response:
        """200 only if a delivery could be kept right now."""
        facts: dict[str, object] = {
            "ready": self._keeper.ready,
            "kafka": self._kafka.state,
            "spool": self._spool.state,
            "path": self._keeper.path,
        }
        if self._spool.set_aside:
            # Told until a person has dealt with it; it keeps nothing from being kept.
            facts["set_aside"] = self._spool.set_aside
        if differs := self._kafka.differs:
            # More than ours do no harm; with fewer, `kafka` says so and deliveries go to the spool.
            facts["partitions"] = differs
        return _json(200 if facts["ready"] else 503, facts)

    async def metrics(self, _: web.BaseRequest) -> web.Response:
        """Everything counted, as Prometheus reads it."""
        headers = HEADERS | {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(telemetry.REGISTRY), headers=headers)


def _json(status: int, facts: dict[str, object]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(facts), headers=HEADERS)
