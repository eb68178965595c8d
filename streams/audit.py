"""What came to `audit`, read from where it was read last."""

import contextlib
from collections.abc import AsyncIterator

from aiokafka.errors import KafkaError

from models import topics
from streams.engine.kafka.reader import KafkaLogs
from streams.engine.ports import LogPartition, Logs
from streams.engine.settings import EngineSettings


def audit(settings: EngineSettings, prefix: str) -> "Audit":
    """Return the topic as it is in Kafka."""
    return Audit(KafkaLogs(settings), prefix + topics.AUDIT, settings.partitions)


class Audit:
    """The topic `audit`, all partitions of it."""

    def __init__(self, logs: Logs, topic: str, partitions: int) -> None:
        self._logs = logs
        self._places = [(topic, number) for number in range(partitions)]
        self._read: dict[LogPartition, int] = {}

    async def news(self) -> AsyncIterator[bytes | None]:
        """Yield the values of the records that came since, all of them at first; fewer while Kafka is away."""
        # Whether Kafka is away is for others to notice, and what operators said can wait.
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            spans = await self._logs.spans(self._places)
            ranges = {place: (max(span.first, self._read.get(place, 0)), span.end) for place, span in spans.items()}
            async for place, records in self._logs.records(ranges):
                for record in records:
                    self._read[place] = record.offset + 1
                    yield record.value
