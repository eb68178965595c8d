"""Somebody gives topics more partitions than TOPIC_PARTITIONS: every delivery still goes where it is read."""

import asyncio
import contextlib
import signal

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.partitioner import murmur2

from ingress import connection
from ingress.producer import Producer
from ingress.records import Record
from ingress.settings import IngressSettings
from tests.broker.small_stage import CHANGELOG

PARTITIONS = 2


@pytest.fixture
async def more(admin: AIOKafkaAdminClient):
    """Raise the partition count of a topic, and wait until that is to be seen."""

    async def raise_to(topic, count):
        await admin.create_partitions({topic: NewPartitions(count)})
        async with asyncio.timeout(20):
            while len((await admin.describe_topics([topic]))[0]["partitions"]) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    return raise_to


@contextlib.asynccontextmanager
async def ingress(kafka, topic, *, partitions=PARTITIONS):
    settings = IngressSettings(
        _env_file=None,
        kafka_bootstrap_servers=kafka,
        metriport_webhook_keys="wh-key_0123456789abc",
        topic_partitions=partitions,
    )
    producer = Producer(lambda: connection.producer(settings), topic, partitions=partitions, replace_s=3)
    running = asyncio.create_task(producer.run())
    try:
        yield producer
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def ends(kafka, topic, count):
    async with AIOKafkaConsumer(bootstrap_servers=kafka) as consumer:
        found = await consumer.end_offsets([TopicPartition(topic, number) for number in range(count)])
    return [found[TopicPartition(topic, number)] for number in range(count)]


KEYS = [b"p-%d" % number for number in range(60)]
PLACES = [sum((murmur2(key) & 0x7FFFFFFF) % PARTITIONS == number for key in KEYS) for number in range(PARTITIONS)]


async def test_deliveries_go_to_the_same_partitions_as_before_and_ready_tells_of_the_others(kafka, topics, more):
    [topic] = await topics("webhooks", partitions=PARTITIONS)
    async with ingress(kafka, topic) as producer:
        await producer.usable()
        await more(topic, 5)
        await producer._session._producer.client.force_metadata_update()
        await until(lambda: producer.found_partitions == 5)

        for key in KEYS:
            await producer.publish([Record(key, b"{}", [])], timeout_s=5)

    assert await ends(kafka, topic, 5) == [*PLACES, 0, 0, 0]


async def test_a_topic_that_is_too_small_for_the_setting_is_not_written_to(kafka, topics):
    [topic] = await topics("webhooks", partitions=PARTITIONS)

    async with ingress(kafka, topic, partitions=3) as producer:
        await until(lambda: producer.state == "too_few_partitions")

    assert await ends(kafka, topic, PARTITIONS) == [0, 0]


async def test_a_stage_goes_on_with_the_partitions_that_are_ours(stage, more):
    await stage.send(b"1")
    await stage.work("copy")
    await stage.read("out", 1)
    for topic in ("in", "out"):
        await more(stage.prefix + topic, 4)

    await stage.work("copy", name="two")
    await stage.send(b"2")
    await stage.send(b"3", partition=1)

    assert {record.value for record in await stage.read("out", 3)} == {b"1", b"2", b"3"}


async def test_a_stage_says_that_records_are_where_nobody_reads(stage, more):
    await more(f"{stage.prefix}in", 3)
    await stage.send(b"1")
    worker = await stage.work("copy")
    await stage.read("out", 1)
    await stage.send(b"2", partition=2)
    worker.send_signal(signal.SIGTERM)
    await worker.wait()

    await stage.work("copy")
    await stage.send(b"3")
    await stage.read("out", 2)

    assert "records_unread" in stage.log()


async def test_a_stage_does_not_begin_with_another_partition_count_than_its_state_was_made_with(stage, more):
    await stage.send(b"1")
    worker = await stage.work("copy")
    await stage.read(CHANGELOG, 2)
    worker.send_signal(signal.SIGTERM)
    await worker.wait()
    for topic in ("in", "out", "quarantine", CHANGELOG):
        await more(stage.prefix + topic, 4)

    worker = await stage.work("copy", partitions=4)

    assert await asyncio.wait_for(worker.wait(), 40) == 70
    assert "TOPIC_PARTITIONS is 4, and this state was made with 2" in stage.log()


async def test_a_stage_does_not_begin_with_a_topic_that_lacks_partitions(stage):
    worker = await stage.work("copy", partitions=3)

    assert await asyncio.wait_for(worker.wait(), 40) == 70
    assert "has 2 partitions, TOPIC_PARTITIONS is 3" in stage.log()
