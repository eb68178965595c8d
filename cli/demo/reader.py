"""Reading what came out: every topic of the catalogue from its beginning, until all that is expected is there."""

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer

from models import topics

POLL_MS = 200


class Reader:
    """Counts records by topic, and remembers the newest value of each patient and job."""

    def __init__(self, consumer: AIOKafkaConsumer, prefix: str) -> None:
        self._consumer = consumer
        self._prefix = prefix
        self.counts: Counter[str] = Counter()
        self.states: dict[str, dict[str, Any]] = {}

    async def read(self) -> list[tuple[str, Any]]:
        """Return the records that came since, as (topic without prefix, record)."""
        found = []
        for partition, records in (await self._consumer.getmany(timeout_ms=POLL_MS)).items():
            topic = partition.topic.removeprefix(self._prefix)
            self.counts[topic] += len(records)
            for record in records:
                found.append((topic, record))
                if topic in {topics.PATIENTS, topics.BULK_JOBS} and record.value:
                    self.states[f"{topic}/{record.key.decode()}"] = json.loads(record.value)
        return found

    async def wait_for(self, complete: Callable[["Reader"], bool], *, timeout_s: float) -> bool:
        """Read until `complete` says so; false if that is too late."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            await self.read()
            if complete(self):
                return True
        return False


@asynccontextmanager
async def reader(bootstrap_servers: str, prefix: str) -> AsyncIterator[Reader]:
    """Open a reader over every topic other teams may read."""
    names = [prefix + topic.name for topic in topics.catalogue() if not topic.internal]
    consumer = AIOKafkaConsumer(
        *names, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest", fetch_max_wait_ms=100
    )
    await consumer.start()
    try:
        yield Reader(consumer, prefix)
    finally:
        await consumer.stop()
