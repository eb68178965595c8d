"""A stage whose new version breaks on every third record, on a real Kafka: paused, resumed by the command."""

import asyncio
import os
import sys

import pytest
from aiokafka import AIOKafkaProducer

from tests.broker.small_stage import ROOT

RELEASE = "release.deliveries"
COUNT = 3000


@pytest.fixture
async def work(stage, topics):
    """Start a worker that is watched; it calls itself `deliveries`, which the command knows."""
    await topics(RELEASE, "audit", partitions=2)

    async def work(**changed):
        watched = {"stage": "deliveries", "version": "2", "decisions": stage.prefix + RELEASE, "decision_poll_s": 0.2}
        return await stage.work(
            "thirds", **{**watched, "sources": ["in", RELEASE], "batch_records_max": 100, **changed}
        )

    return work


async def send(stage, values):
    async with AIOKafkaProducer(bootstrap_servers=stage.kafka) as producer:
        for value in values:
            await producer.send(stage.prefix + "in", value, key=b"k", partition=0)


async def resume(stage):
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": stage.kafka,
        "TOPIC_PREFIX": stage.prefix,
        "TOPIC_PARTITIONS": "2",
    }
    command = (sys.executable, "-m", "cli", "worker", "--resume", "deliveries")
    made = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment)
    return await made.wait()


async def test_a_version_that_breaks_every_third_record_is_paused_also_after_a_kill_and_goes_on_when_resumed(
    stage, work
):
    await send(stage, (b"%d" % number for number in range(COUNT)))
    worker = await work()
    await stage.says("stage_paused")
    worker.kill()
    await worker.wait()
    (stage.folder / "one.log").write_text("")
    await work()
    await stage.says("stage_paused")
    drained = await stage.end("quarantine")

    assert await resume(stage) == 0
    refused = await stage.read("quarantine", COUNT // 3)

    assert drained < 50
    assert [record.value for record in refused] == [b"%d" % number for number in range(0, COUNT, 3)]
    assert len(await stage.read("out", COUNT - COUNT // 3)) == COUNT - COUNT // 3
    assert len(await stage.read("audit", 1)) == 1


async def test_ten_thousand_odd_records_of_a_sender_stop_nothing(stage, work):
    await send(stage, [b"odd"] * 10_000 + [b"1"])

    await work(batch_records_max=500)

    assert [record.value for record in await stage.read("out", 1)] == [b"1"]
    assert await stage.end("quarantine") == 10_000
    assert "stage_paused" not in stage.log()
