"""The way of one delivery through the real jobs of three stages, on the real engine, with a Kafka in memory."""

import asyncio
import json

from models import samples, schemas, topics
from streams.deliveries.drift import Bounds
from streams.deliveries.job import DeliveriesJob
from streams.patients.job import SOURCES, PatientsJob
from tests.unit.engine.fakes import MemoryKafka, Process, Record
from tests.unit.links.stage import PREFIX, running


def main(delivery):
    print(json.dumps(asyncio.run(_way(delivery))))  # noqa: T201 - what the test reads


async def _way(delivery):
    kind = delivery["meta"]["type"]
    kafka = MemoryKafka()
    await _through(
        DeliveriesJob(PREFIX, bounds=Bounds()), kafka, Record(0, samples.encode(delivery), b"k", PREFIX + "webhooks")
    )
    async with running(kafka=kafka) as links:
        links.process.feed(_read(kafka, kind))
        await links.settled()
        assert not links.fatal()
    for topic in (kind, topics.BUNDLES):
        await _through(PatientsJob(PREFIX), kafka, *_read(kafka, topic))
    told = {
        topic.removeprefix(PREFIX): [json.loads(row.value) for row in rows]
        for (topic, _), rows in kafka.logs.items()
        if rows and topic.startswith(PREFIX) and not topic.endswith(("webhooks", "changelog"))
    }
    return told | {
        "is in the catalogue": kind in {topic.name for topic in topics.catalogue()},
        "has a schema": f"{kind}.json" in schemas.files(),
        "is read by patients": kind in SOURCES,
    }


async def _through(job, kafka, *records):
    process = Process(job, kafka, sources=tuple({record.topic for record in records}), app_id=type(job).__name__)
    await process.begin()
    process.feed(list(records))
    await process.idle()
    assert not process.ended


def _read(kafka, topic):
    return [
        Record(number, row.value, row.key, PREFIX + topic, headers=tuple(row.headers))
        for number, row in enumerate(kafka.logs[PREFIX + topic, 0])
    ]
