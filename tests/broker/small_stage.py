"""A small stage of the engine on a real Kafka: its topics and its worker processes."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

ROOT = Path(__file__).parents[2]
BIG = {"max.message.bytes": str(42 * 2**20)}
CHANGELOG = "small-state-changelog"


class Stage:
    """The topics of one small stage, and its workers."""

    def __init__(self, kafka: str, prefix: str, folder: Path) -> None:
        self.kafka, self.prefix, self.folder = kafka, prefix, folder
        self.workers: list[asyncio.subprocess.Process] = []

    async def work(self, job: str, name: str = "one", **changed: object) -> asyncio.subprocess.Process:
        given = {
            "prefix": self.prefix,
            "bootstrap_servers": self.kafka,
            "partitions": 2,
            "state_dir": str(self.folder / name),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            worker = await asyncio.create_subprocess_exec(
                sys.executable,
                str(ROOT / "tests/broker/engine_worker.py"),
                job,
                json.dumps(given | changed),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        self.workers.append(worker)
        return worker

    async def send(self, *values: bytes, topic: str = "in", key: bytes = b"k", partition: int | None = 0) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.kafka, max_request_size=42 * 2**20) as producer:
            for value in values:
                await producer.send_and_wait(self.prefix + topic, value, key=key, partition=partition)

    async def read(self, topic: str, count: int, partitions: int = 2) -> list:
        """Return the first `count` records of a topic, in order per partition."""
        options = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka, **options) as consumer:
            consumer.assign([TopicPartition(self.prefix + topic, number) for number in range(partitions)])
            records: list = []
            async with asyncio.timeout(60):
                while len(records) < count:
                    for some in (await consumer.getmany(timeout_ms=200)).values():
                        records += some
            return records

    async def end(self, topic: str, partition: int = 0) -> int:
        """Return where a partition ends."""
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka) as consumer:
            tp = TopicPartition(self.prefix + topic, partition)
            return (await consumer.end_offsets([tp]))[tp]

    async def says(self, words: str, name: str = "one") -> None:
        """Wait until a worker's log has these words."""
        for _ in range(600):
            if words in self.log(name):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"the log of {name} never said: {words}")

    def log(self, name: str = "one") -> str:
        return (self.folder / f"{name}.log").read_text()

    async def close(self) -> None:
        for worker in self.workers:
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()
