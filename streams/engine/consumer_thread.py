"""Faust's consumer thread, which also tells when the group last heard from us."""

# ruff: noqa: ANN401 - Faust, aiokafka and RocksDB have no types

import time
from typing import Any

from faust.transport.drivers import aiokafka as driver


class BatchThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread that fetches and keeps the membership alive, whatever the event loop of the stage does."""

    _beat_at = 0.0

    def beat(self) -> None:
        """Count this moment as a heartbeat."""
        self._beat_at = time.monotonic()

    def silent_s(self) -> float:
        """Seconds since the last heartbeat that succeeded was sent."""
        return time.monotonic() - self._beat_at

    async def on_start(self) -> None:
        """Start, and listen to the heartbeats."""
        await super().on_start()
        coordinator = self._consumer._coordinator  # noqa: SLF001 - nothing public tells of heartbeats
        plain = coordinator._do_heartbeat  # noqa: SLF001

        async def heartbeat() -> Any:
            sent_at = time.monotonic()
            alive = await plain()
            if alive:
                self._beat_at = sent_at
            return alive

        coordinator._do_heartbeat = heartbeat  # noqa: SLF001

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust fixes 1500 ms, and an idle partition parks the one fetch per broker for that long.
        consumer._fetch_max_wait_ms = int(self.transport.fetch_wait_s * 1000)  # noqa: SLF001
        return consumer
