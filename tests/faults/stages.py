"""Hurt the running stages on a real Kafka, and compare what came out with what the test works out on its own."""

import asyncio
import contextlib
import random
import shutil
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiokafka import AIOKafkaProducer

from cli import processes
from ingress.records import Delivery, records
from models import envelope, headers, topics
from tests.faults import findings
from tests.faults.oracle import Expected
from tests.faults.posts import Post, posts
from tests.faults.topics import Reading, Topics
from tests.faults.workers import Workers

BODY_BYTES_MAX = 2**20
POLL_S = 0.05
OUTPUTS = {
    "deliveries": (*topics.DELIVERY_TYPES, topics.UNRECOGNISED, findings.QUARANTINE),
    "patients": findings.STATES,
}
SOURCES = {"deliveries": (topics.WEBHOOKS,), "patients": topics.DELIVERY_TYPES}


@dataclass(frozen=True, kw_only=True)
class Drill:
    """How much is sent, and what is done to the workers of each stage meanwhile."""

    deliveries: int = 4_000
    patients: int = 200
    partitions: int = 4
    batch: int = 50
    kills: int = 2
    wiped_share: float = 0.3
    joins: int = 1
    early_share: float = 0.25
    patience_s: float = 20.0
    timeout_s: float = 100.0
    seed: int = 1


SLICE = Drill()
FULL = Drill(deliveries=50_000, patients=2_000, partitions=12, kills=10, joins=2, timeout_s=600.0)


class Service:
    """Topics of its own, and the workers of both stages."""

    def __init__(self, servers: str, drill: Drill, folder: Path) -> None:
        self.servers = servers
        self.prefix = f"d{uuid.uuid4().hex[:8]}."
        self.log = folder / "topics.log"
        self.environment = {
            "KAFKA_BOOTSTRAP_SERVERS": servers,
            "TOPIC_PREFIX": self.prefix,
            "TOPIC_PARTITIONS": str(drill.partitions),
            "TOPIC_REPLICATION": "1",
            "FHIR_STATE_TYPES": "Patient",  # nobody reads them here
            "SESSION_TIMEOUT_S": "6",
            "BATCH_RECORDS_MAX": str(drill.batch),  # small, so that kills meet many steps
            "WORKER_PORT": "0",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "warning",
        }
        self.workers = [Workers(stage, self.environment, folder) for stage in OUTPUTS]

    async def send(self, sent: list[Post]) -> Expected:
        """Write the posts as the ingress does, as fast as Kafka takes them; return what they must become."""
        expected, begin = Expected(), datetime(2026, 7, 1, tzinfo=UTC)
        producer = AIOKafkaProducer(bootstrap_servers=self.servers, linger_ms=5, enable_idempotence=True)
        async with producer:
            for number, post in enumerate(sent):
                received_at = headers.timestamp(begin + timedelta(milliseconds=number))
                for record in records(
                    Delivery(post.body, received_at), envelope.read(post.body), body_bytes_max=BODY_BYTES_MAX
                ):
                    await producer.send(
                        self.prefix + topics.WEBHOOKS, record.value, key=record.key, headers=record.headers
                    )
                expected.take(post, received_at)
        return expected


async def hurt(workers: Workers, drill: Drill, chance: random.Random, written: Callable[[], Awaitable[int]]) -> None:
    """Do everything the drill asks for, mostly while the stage is at work, sometimes before it is."""
    acts = ["kill"] * drill.kills + ["join or leave"] * 2 * drill.joins
    chance.shuffle(acts)
    share = drill.deliveries * 0.8 / (len(acts) + 1)
    for act in acts:
        early = chance.random() < drill.early_share
        patience_s = chance.uniform(0, 5) if early else drill.patience_s
        await _until_more(written, chance.uniform(0, 2 * share), patience_s)
        await workers.revive()
        if act == "kill":
            await workers.kill(chance.choice(["one", "two"]), wiped=chance.random() < drill.wiped_share)
        else:
            await workers.join_or_leave("three")


async def _until_more(written: Callable[[], Awaitable[int]], count: float, patience_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            begun_with = await written()
            while True:
                if await written() - begun_with >= count:
                    return
                await asyncio.sleep(POLL_S)


async def settled(service: Service, reading: Topics) -> None:
    """Wait until both stages have finished everything there is."""
    for workers in service.workers:
        while await reading.behind(workers.stage, SOURCES[workers.stage]):
            for each in service.workers:
                await each.revive()
            await asyncio.sleep(0.5)


async def run(servers: str, drill: Drill) -> dict[str, object]:
    """Run the drill and return what was done and what was found."""
    folder = Path(tempfile.mkdtemp(prefix="drill-"))
    service = Service(servers, drill, folder)
    await processes.run("topics", "apply", environment=service.environment, log=service.log)
    sent = posts(drill.deliveries, patients=drill.patients, seed=drill.seed)
    begun_at, finished = time.monotonic(), False
    async with Reading(servers, service.prefix, drill.partitions) as reading:
        try:
            async with asyncio.timeout(drill.timeout_s):
                for workers in service.workers:
                    await workers.start("one")
                    await workers.start("two")
                expected, *_ = await asyncio.gather(service.send(sent), *_hurts(service, drill, reading))
                left = [await reading.behind(stage, SOURCES[stage]) for stage in OUTPUTS]
                await settled(service, reading)
                finished = True
        except TimeoutError:
            return {"finished": finished, "log": str(folder)}
        finally:
            for workers in service.workers:
                await workers.close()
        seconds = round(time.monotonic() - begun_at)
        found = findings.compare(expected, await reading.read(findings.READ))
    report = {
        "finished": finished,
        "seed": drill.seed,
        "posts": len(sent),
        "duplicates": expected.duplicates,
        "poison": expected.poison.total(),
        **{workers.stage: dict(workers.done) for workers in service.workers},
        "left_when_hurt_no_more": left,
        "seconds": seconds,
        **found,
    }
    if sound(report):
        shutil.rmtree(folder)
    return report if sound(report) else {**report, "log": str(folder)}


def _hurts(service: Service, drill: Drill, reading: Topics) -> list[Awaitable[None]]:
    chance = random.Random(drill.seed)
    return [
        hurt(
            workers,
            drill,
            random.Random(chance.getrandbits(32)),
            lambda stage=workers.stage: reading.written(OUTPUTS[stage]),
        )
        for workers in service.workers
    ]


def sound(report: dict[str, object]) -> bool:
    """Return whether everything came out, once, in order and right."""
    wrong = [name for name in report if name.endswith(("wrong", "order", "source")) or name in ("lost", "repeated")]
    return bool(report["finished"]) and bool(report["records"]) and not any(report[name] for name in wrong)
