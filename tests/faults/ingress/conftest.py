"""The ingress as a process, a broker that may be hurt, and a sender that writes down every answer it got."""

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest
import pytest_asyncio
from aiohttp import ClientError, ClientSession
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from cli import broker
from models import signature

KEY = b"wh-key_0123456789abc"
TOPIC = "metriport.webhooks"
PARTITIONS = 12
PATIENTS = 7


@dataclass
class Answer:
    """What became of one delivery, as the sender saw it; status None: no answer."""

    message_id: str
    patient_id: str
    status: int | None
    seconds: float
    sent_at: float


@dataclass
class Ingress:
    """A running ingress."""

    process: asyncio.subprocess.Process
    url: str
    log: Path
    answers: list[Answer] = field(default_factory=list)

    async def ready(self) -> dict[str, object]:
        async with ClientSession() as session, session.get(f"{self.url}/ready") as response:
            return {"status": response.status, **await response.json()}

    async def until(self, **facts: object) -> dict[str, object]:
        """Wait until `/ready` says all of these."""
        async with asyncio.timeout(30):
            while not facts.items() <= (said := await self.ready()).items():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        return said

    async def metric(self, name: str) -> float:
        async with ClientSession() as session, session.get(f"{self.url}/metrics") as response:
            lines = (await response.text()).splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split()[0] == f"metriport_{name}")

    async def post(self, number: int, *, body_bytes: int = 1000) -> Answer:
        """Post one delivery over a connection of its own, as Metriport does."""
        message_id, patient_id = f"m-{number:06d}", f"p-{number % PATIENTS}"
        meta = {"messageId": message_id, "type": "patient.admit", "when": "2025-10-30T12:00:00.123Z"}
        body = json.dumps({"meta": meta, "payload": {"patientId": patient_id, "x": "y" * body_bytes}}).encode()
        started, status = monotonic(), None
        headers = {signature.HEADER: signature.sign(body, key=KEY)}
        with suppress(ClientError, ConnectionError, TimeoutError):
            async with (
                ClientSession() as session,
                session.post(f"{self.url}/webhooks/metriport", data=body, headers=headers) as response,
            ):
                status = response.status
        answer = Answer(message_id, patient_id, status, monotonic() - started, started)
        self.answers.append(answer)
        return answer

    async def ping(self) -> float:
        """Return the seconds a ping took."""
        body = b'{"meta": {"type": "ping"}, "ping": "abc"}'
        started = monotonic()
        headers = {signature.HEADER: signature.sign(body, key=KEY)}
        async with (
            ClientSession() as session,
            session.post(f"{self.url}/webhooks/metriport", data=body, headers=headers) as response,
        ):
            assert await response.json() == {"pong": "abc"}
        return monotonic() - started

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


Start = Callable[..., Awaitable[Ingress]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def broker_to_hurt(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[broker.Broker]:
    """A broker for SIGSTOP; each test leaves it running."""
    async with broker.running(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest_asyncio.fixture
async def kafka(broker_to_hurt: broker.Broker) -> AsyncIterator[broker.Broker]:
    """The broker with an empty `webhooks`."""
    await create_topic(broker_to_hurt.bootstrap_servers)
    yield broker_to_hurt
    os.kill(broker_to_hurt.pid, signal.SIGCONT)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker_to_hurt.bootstrap_servers)
    await admin.start()
    await admin.delete_topics([TOPIC])
    while TOPIC in await admin.list_topics():  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.05)
    await admin.close()


async def create_topic(servers: str) -> None:
    """Create `webhooks`, and return when it can be written to."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
    while (await admin.describe_topics([TOPIC]))[0]["error_code"]:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.05)
    await admin.close()


@pytest_asyncio.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start an ingress with `await start(servers, SPOOL_BYTES_MAX=...)`; all are killed at the end.

    `descriptors` are the soft and the hard limit of its file descriptors.
    """
    started: list[Ingress] = []

    async def one(servers: str, *, descriptors: tuple[int, int] | None = None, **settings: object) -> Ingress:
        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, descriptors)

        log = tmp_path / f"ingress-{len(started)}.log"
        environment = {
            "PATH": os.environ["PATH"],
            "METRIPORT_WEBHOOK_KEYS": KEY.decode(),
            "KAFKA_BOOTSTRAP_SERVERS": servers,
            "INGRESS_HOST": "127.0.0.1",
            "INGRESS_PORT": "0",
            "SPOOL_DIR": str(tmp_path / "spool"),
            **{name: str(value) for name, value in settings.items()},
        }
        with log.open("wb") as sink:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "ingress"),
                env=environment,
                stdout=sink,
                stderr=sink,
                preexec_fn=limit if descriptors else None,
            )
        ingress = Ingress(process, await _address(process, log), log)
        started.append(ingress)
        return ingress

    yield one
    for ingress in started:
        if ingress.process.returncode is None:
            await ingress.kill()


async def _address(process: asyncio.subprocess.Process, log: Path) -> str:
    async with asyncio.timeout(20):
        while process.returncode is None:
            for line in log.read_text().splitlines():  # noqa: ASYNC240 - a few lines
                with suppress(ValueError):
                    if (event := json.loads(line)).get("event") == "listening":
                        return event["address"]
            await asyncio.sleep(0.02)
    return ""


@pytest.fixture
def published() -> Callable[[broker.Broker], Awaitable[dict[str, list[str]]]]:
    """Read the whole topic: the message ids of each patient, first occurrences only, in order."""

    async def read(running: broker.Broker) -> dict[str, list[str]]:
        consumer = AIOKafkaConsumer(
            TOPIC, bootstrap_servers=running.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False
        )
        await consumer.start()
        ends = await consumer.end_offsets(consumer.assignment())
        found: dict[str, dict[str, None]] = {}
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    found.setdefault(record.key.decode(), {})[json.loads(record.value)["meta"]["messageId"]] = None
        await consumer.stop()
        return {patient: list(ids) for patient, ids in found.items()}

    return read


def acknowledged(*ingresses: Ingress) -> dict[str, list[str]]:
    """Return the message ids that got a 200, by patient, in the order they were sent."""
    found: dict[str, list[str]] = {}
    for answer in sorted((a for ingress in ingresses for a in ingress.answers), key=lambda answer: answer.sent_at):
        if answer.status == 200:
            found.setdefault(answer.patient_id, []).append(answer.message_id)
    return found


async def send_steadily(ingress: Ingress, *, seconds: float, per_second: float = 20, first: int = 0) -> None:
    """Post at a steady rate, whatever the answers do."""
    posts = []
    for number in range(int(seconds * per_second)):
        posts.append(asyncio.create_task(ingress.post(first + number)))
        await asyncio.sleep(1 / per_second)
    await asyncio.gather(*posts)
