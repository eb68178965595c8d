"""Reading topics and groups of a running service from outside, without leaving a trace in them."""

from collections import defaultdict
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient


class Topics:
    """The topics of one service; `consumer` belongs to no group."""

    def __init__(self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, prefix: str, partitions: int) -> None:
        self._consumer = consumer
        self._admin = admin
        self._prefix = prefix
        self._partitions = partitions

    def _of(self, names: Iterable[str]) -> list[TopicPartition]:
        return [TopicPartition(self._prefix + name, number) for name in names for number in range(self._partitions)]

    async def written(self, names: Iterable[str]) -> int:
        """Return how many records were ever written to these topics."""
        return sum((await self._consumer.end_offsets(self._of(names))).values())

    async def behind(self, stage: str, sources: Iterable[str]) -> int:
        """Return how many records of its sources a stage has not finished."""
        ends = await self._consumer.end_offsets(self._of(sources))
        known = await self._admin.list_consumer_group_offsets(f"{self._prefix}{stage}")
        return sum(end - (known[tp].offset if tp in known else 0) for tp, end in ends.items())

    async def read(self, names: Iterable[str]) -> dict[str, list]:
        """Return every record of these topics by topic, each partition's in order."""
        found = defaultdict(list)
        tps = self._of(names)
        self._consumer.assign(tps)
        await self._consumer.seek_to_beginning(*tps)
        ends = await self._consumer.end_offsets(tps)
        waiting = {tp for tp in tps if ends[tp]}
        while waiting:
            for tp, records in (await self._consumer.getmany(*waiting, timeout_ms=500)).items():
                found[tp.topic.removeprefix(self._prefix)] += records
            waiting = {tp for tp in waiting if await self._consumer.position(tp) < ends[tp]}
        return found


class Reading:
    """Opens `Topics` for a while."""

    def __init__(self, servers: str, prefix: str, partitions: int) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False
        )
        self._admin = AIOKafkaAdminClient(bootstrap_servers=servers)
        self._about = prefix, partitions

    async def __aenter__(self) -> Topics:
        await self._consumer.start()
        await self._admin.start()
        return Topics(self._consumer, self._admin, *self._about)

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._admin.close()
