"""The floor: a bare aiokafka loop that copies each batch to one topic, awaits the acknowledgements and commits."""

import asyncio
import sys

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def copy(servers: str, source: str, target: str) -> None:
    consumer = AIOKafkaConsumer(
        source,
        bootstrap_servers=servers,
        group_id=f"{target}-copy",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 2**20,
        fetch_max_wait_ms=100,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, acks="all", enable_idempotence=True, linger_ms=0, max_batch_size=900_000
    )
    await asyncio.gather(consumer.start(), producer.start())
    while True:
        acks = []
        for tp, records in (await consumer.getmany(timeout_ms=100, max_records=500)).items():
            batch = producer.create_batch()
            for record in records:
                one = {"timestamp": record.timestamp, "key": record.key, "value": record.value}
                if batch.append(**one, headers=list(record.headers)) is None:
                    acks.append(await producer.send_batch(batch, target, partition=tp.partition))
                    batch = producer.create_batch()
                    batch.append(**one, headers=list(record.headers))
            acks.append(await producer.send_batch(batch, target, partition=tp.partition))
        await asyncio.gather(*acks)
        if acks:
            await consumer.commit()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(copy(*sys.argv[1:4]))
