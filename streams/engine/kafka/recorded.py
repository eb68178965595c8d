"""Reads the engine's own state keys from the changelog, for commands that have no copy of the state."""

from collections.abc import Iterable, Iterator

from aiokafka import TopicPartition

from streams.engine.job import RESERVED
from streams.engine.kafka.reader import log_reader, read
from streams.engine.settings import EngineSettings


class RecordedState:
    """The engine's own keys of some partition numbers."""

    def __init__(self) -> None:
        self._keys: dict[int, dict[bytes, bytes]] = {}

    def take(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Take in one record of the changelog."""
        keys = self._keys.setdefault(partition, {})
        if value is None:
            keys.pop(key, None)
        elif key.startswith(RESERVED):
            keys[key] = value

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys that start with `prefix`, in order, with their values."""
        keys = self._keys.get(partition, {})
        yield from sorted((key, value) for key, value in keys.items() if key.startswith(prefix))


async def recorded(partitions: Iterable[int], settings: EngineSettings) -> RecordedState:
    """Read the changelog of these partition numbers to its end."""
    state = RecordedState()
    tps = [TopicPartition(settings.changelog, partition) for partition in partitions]
    async with log_reader(settings) as consumer:
        consumer.assign(tps)
        first, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        async for tp, records in read(consumer, {tp: (first[tp], ends[tp]) for tp in tps}):
            for record in records:
                state.take(tp.partition, record.key, record.value)
    return state
