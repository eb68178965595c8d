"""Where a delivery is kept: in Kafka, or in the spool behind those that already wait there, so that order is kept."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from time import monotonic
from typing import Any, Literal, Protocol

from ingress.records import Delivery, Record, records
from ingress.session import NotPublished, Unavailable
from ingress.spool_file import SpoolFull
from ingress.spool_writer import SpoolFailed, SpoolState
from models import telemetry
from models.envelope import Envelope
from models.errors import CannotKeep

Path = Literal["kafka", "spool"]


class Kafka(Protocol):
    """What is asked of Kafka here; `ingress.producer.Producer` does it."""

    @property
    def state(self) -> str:
        """`ok` when a publish is worth trying."""

    async def publish(self, records: Sequence[Record], *, timeout_s: float | None) -> None:
        """Return when all are acknowledged; raise `NotPublished`, or `TooLarge` when they never will be."""


class Waiting(Protocol):
    """What is asked of the spool here; `ingress.spool.Spool` does it."""

    state: SpoolState

    @property
    def backlog(self) -> int:
        """How many deliveries wait, those on their way to the disk included."""

    @property
    def usable(self) -> bool:
        """Whether what waits can be read."""

    async def write(self, delivery: Delivery) -> None:
        """Return when it is on the disk; raise `SpoolFull` or `SpoolFailed`."""


class Keeper:
    """Keeps deliveries, one call each. `gate` is closed for the moment in which the spool's last ones are moved."""

    def __init__(
        self, kafka: Kafka, spool: Waiting, *, body_bytes_max: int, publish_timeout_s: float, answer_timeout_s: float
    ) -> None:
        self._kafka = kafka
        self._spool = spool
        self._body_bytes_max = body_bytes_max
        self._publish_timeout_s = publish_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self.gate = asyncio.Event()
        self.gate.set()
        self._spooling = False
        self._publishing = 0
        self._settled = asyncio.Event()

    @property
    def path(self) -> Path:
        """Where the next delivery would go first."""
        return "kafka" if self._kafka.state == "ok" and not self._behind else "spool"

    @property
    def ready(self) -> bool:
        """Whether a delivery could be kept right now."""
        return self.path == "kafka" or self._spool.state == "ok"

    async def keep(self, delivery: Delivery, envelope: Envelope) -> Path:
        """Return where `delivery` is kept for good; raise `CannotKeep` in time, or `TooLarge`."""
        deadline = monotonic() + self._answer_timeout_s
        if not self.gate.is_set():
            await self._patiently(self.gate.wait())
        direct = self.path == "kafka"
        if direct and await self._published(delivery, envelope):
            self._spooling = False
            return "kafka"
        try:
            async with asyncio.timeout(deadline - monotonic()):
                if not direct and self._publishing:
                    await self._patiently(self._let_pass())
                await self._spool.write(delivery)
        except (SpoolFull, SpoolFailed, TimeoutError) as error:
            telemetry.SPOOL_REFUSED(reason=_REASONS[type(error)])
            raise CannotKeep from None
        telemetry.SPOOLED()
        if not self._spooling:
            self._spooling = True
            telemetry.SPOOL_IN_USE(reason=self._kafka.state)
        return "spool"

    @property
    def _behind(self) -> bool:
        # A spool that cannot be read will not be drained soon; Kafka is then the better place, at the price of order.
        return self._spool.backlog > 0 and self._spool.usable

    async def _patiently(self, waiting: Coroutine[Any, Any, object]) -> None:
        """Wait for others, who keep the order; a delivery that has waited too long goes on without."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._publish_timeout_s):
                await waiting

    async def _published(self, delivery: Delivery, envelope: Envelope) -> bool:
        wanted = records(delivery, envelope, body_bytes_max=self._body_bytes_max)
        self._publishing += 1
        try:
            await self._kafka.publish(wanted, timeout_s=self._publish_timeout_s)
        except Unavailable:
            return False
        except NotPublished as error:
            telemetry.PUBLISH_UNKNOWN(error=str(error))
            return False
        finally:
            self._publishing -= 1
            self._settled.set()
        return True

    async def _let_pass(self) -> None:
        """Wait for those who came before and have just learned that Kafka does not answer: they go first."""
        while self._publishing:
            self._settled.clear()
            await self._settled.wait()


_REASONS = {SpoolFull: "full", SpoolFailed: "failed", TimeoutError: "slow"}
