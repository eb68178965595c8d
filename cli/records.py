"""Reading topics as an operator does: from the start or from now on, without a group, leaving no trace in Kafka."""

from collections.abc import AsyncGenerator, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import murmur2
from aiokafka.structs import ConsumerRecord

from cli.connection import administration
from cli.topics import advice
from models.errors import Misconfigured
from models.security import client_options
from models.settings import KafkaSettings, StateTypesSettings, load
from models.topics import catalogue

WAIT_MS = 500
FETCH_BYTES_MAX = 1024 * 1024


async def records(
    settings: KafkaSettings, topics: Sequence[str], *, from_start: bool, follow: bool, partition_of: bytes | None = None
) -> AsyncGenerator[ConsumerRecord, None]:
    """Yield the records of these topics as they come; without `follow`, stop at what is there now.

    With a key as `partition_of`, only the partitions that hold its records are read.
    """
    partitions = await _partitions(settings, topics)
    if partition_of is not None:
        count = len({partition.partition for partition in partitions})
        number = (murmur2(partition_of) & 0x7FFFFFFF) % count
        partitions = [partition for partition in partitions if partition.partition == number]
    consumer = AIOKafkaConsumer(
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES_MAX,
        auto_offset_reset="earliest",
        **client_options(settings),
    )
    await consumer.start()
    try:
        ends = await _assigned(consumer, partitions, from_start=from_start)
        while follow or await _is_behind(consumer, ends):
            batches = await consumer.getmany(timeout_ms=WAIT_MS)
            # By time across partitions, so that one delivery's way through the topics reads from top to bottom.
            for record in sorted((each for batch in batches.values() for each in batch), key=lambda one: one.timestamp):
                yield record
    finally:
        await consumer.stop()


async def _partitions(settings: KafkaSettings, topics: Sequence[str]) -> list[TopicPartition]:
    async with administration(settings) as admin:
        described = await admin.describe_topics(list(topics))
        if missing := sorted(topic["topic"] for topic in described if topic["error_code"]):
            known = [each.name for each in catalogue(load(StateTypesSettings).fhir_state_types)]
            there = await admin.list_topics()
            raise Misconfigured(advice.no_topic(missing[0], prefix=settings.topic_prefix, catalogue=known, there=there))
    return [TopicPartition(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]]


async def _assigned(
    consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition], *, from_start: bool
) -> dict[TopicPartition, int]:
    consumer.assign(partitions)
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    if from_start:
        await consumer.seek_to_beginning(*partitions)
    else:
        for partition, offset in ends.items():
            consumer.seek(partition, offset)
    return ends


async def _is_behind(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    for partition, end in ends.items():
        if end and await consumer.position(partition) < end:
            return True
    return False
