"""The floor: a bare aiokafka loop that copies batch by batch, awaits the acknowledgements and commits once a second.

`bare_loop.py SERVERS SOURCE TARGET`
"""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

BATCH_BYTES_MAX = 900_000


async def copy(servers: str, source: str, target: str) -> None:
    """Copy for ever."""
    consumer = AIOKafkaConsumer(
        source,
        bootstrap_servers=servers,
        group_id=f"{target}-group",
        auto_offset_reset="earliest",
        auto_commit_interval_ms=1000,
        max_partition_fetch_bytes=4 * 2**20,
        fetch_max_wait_ms=100,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=BATCH_BYTES_MAX
    )
    await asyncio.gather(consumer.start(), producer.start())
    while True:
        for tp, records in (await consumer.getmany(timeout_ms=100)).items():
            sent = [
                await producer.send_batch(batch, target, partition=tp.partition) for batch in cut(producer, records)
            ]
            await asyncio.gather(*sent)


def cut(producer: AIOKafkaProducer, records: list[Any]) -> Iterator[Any]:
    """Yield the records as batches that Kafka takes."""
    batch = producer.create_batch()
    for record in records:
        one = {"timestamp": record.timestamp, "key": record.key, "value": record.value, "headers": list(record.headers)}
        if batch.append(**one) is None:
            yield batch
            batch = producer.create_batch()
            batch.append(**one)
    yield batch


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(copy(*sys.argv[1:4]))
