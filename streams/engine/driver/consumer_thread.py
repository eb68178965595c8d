"""Faust's consumer thread, which also tells when the group last heard from us."""

# ruff: noqa: ANN401 - Faust, aiokafka and RocksDB have no types

from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import ConnectionGroup
from faust.transport.drivers import aiokafka as driver

from streams.engine.driver.lease import Lease


class BatchThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread that fetches and keeps the membership alive, whatever the event loop of the stage does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lease = Lease()

    async def on_start(self) -> None:
        """Start, and listen to what the group answers."""
        await super().on_start()
        self.lease.listen(self._consumer._coordinator)  # noqa: SLF001 - nothing public tells of heartbeats

    def connection(self, partition: tuple[str, int]) -> object:
        """Return the connection by which records of this partition come now, None if there is none."""
        client = self._consumer._client  # noqa: SLF001 - nothing public tells of connections
        leader = client.cluster.leader_for_partition(TopicPartition(*partition))
        return client._conns.get((leader, ConnectionGroup.DEFAULT))  # noqa: SLF001

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust fixes 1500 ms, and an idle partition parks the one fetch per broker for that long.
        consumer._fetch_max_wait_ms = int(self.transport.fetch_wait_s * 1000)  # noqa: SLF001
        return consumer
