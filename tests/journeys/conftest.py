"""The running service, met only where its users meet it: over HTTP and Kafka."""

import asyncio
import contextlib
import json
import os
import socket
import sys
import uuid
from datetime import UTC, datetime

import aiohttp
import pytest_asyncio
from aiokafka import AIOKafkaConsumer

from cli import linkserver, processes, sampling
from cli.broker import ports
from models import samples, signature
from models.headers import timestamp
from models.stages import STAGES

KEYS = ("the-key-in-use-today", "the-key-before-that")
ROUTE = "/webhooks/metriport"
ARRIVE_TIMEOUT_S = 60


class Service:
    """Ingress and worker as processes of their own, with topics of their own."""

    def __init__(self, kafka, folder, prefix, links):
        self.kafka, self.folder, self.prefix, self.links = kafka, folder, prefix, links
        self.port = ports.free(1)[0]
        self.worker_port = _ports_in_a_row(len(STAGES))
        self.log = folder / "service.log"
        self.environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "METRIPORT_WEBHOOK_KEYS": ",".join(KEYS),
            "TOPIC_PREFIX": prefix,
            "TOPIC_PARTITIONS": "4",
            "TOPIC_REPLICATION": "1",
            "INGRESS_HOST": "127.0.0.1",
            "INGRESS_PORT": str(self.port),
            "WORKER_PORT": str(self.worker_port),
            "SPOOL_DIR": str(folder / "spool"),
            "STATE_DIR": str(folder / "state"),
            "BLOB_STORE_URL": f"file://{folder}/blobs",
            "FETCH_TRUSTED_ORIGINS": links,
            "SESSION_TIMEOUT_S": "6",
            "DRIFT_AUDIT_POLL_S": "1",
            "LOG_LEVEL": "debug",
            "LOG_FORMAT": "json",
        }
        self.url = f"http://127.0.0.1:{self.port}"
        self.security = {}
        self._worker = contextlib.AsyncExitStack()

    async def start_worker(self):
        await self._worker.enter_async_context(processes.child("worker", environment=self.environment, log=self.log))

    async def stop_worker(self):
        await self._worker.aclose()

    async def deliver(self, body, *, key=KEYS[0], headers=None):
        """Post a body as Metriport does; return status and the answer's JSON."""
        headers = {"content-type": "application/json", signature.HEADER: signature.sign(body, key=key.encode())} | (
            headers or {}
        )
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + ROUTE, data=body, headers=headers, allow_redirects=False) as response,
        ):
            return response.status, await response.json()

    async def get(self, path):
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return response.status, await response.text()

    async def metric(self, stage, name, *, aside="no label"):
        """Return the sum of a stage's samples called `name`, `aside` not in their labels; 0 while it is not there."""
        url = f"http://127.0.0.1:{STAGES[stage].port(self.worker_port)}/metrics"
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                lines = (await response.text()).splitlines()
                of_name = (line for line in lines if line.split("{")[0].split(" ")[0] == name and aside not in line)
                return sum(float(line.rsplit(" ", 1)[1]) for line in of_name)
        return 0

    async def read(self, *topics, until, to_end=False):
        """Read these topics from their beginning until `until(records)`, or on to the end they have by then.

        Return records by topic, without the prefix.
        """
        consumer = AIOKafkaConsumer(
            *(self.prefix + topic for topic in topics),
            bootstrap_servers=self.kafka,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
            max_partition_fetch_bytes=40 * 2**20,
            **self.security,
        )
        found = {topic: [] for topic in topics}
        async with asyncio.timeout(ARRIVE_TIMEOUT_S):
            await consumer.start()
            try:
                while not until(found) or (to_end and await _behind(consumer)):
                    for partition, records in (await consumer.getmany(timeout_ms=100)).items():
                        found[partition.topic.removeprefix(self.prefix)] += records
            finally:
                await consumer.stop()
        return found

    async def settled(self, patient_id, *topics):
        """Return all that these topics hold of a patient once everything delivered for it so far is through."""
        marked = ("medical.document-conversion", *({"patients"} & set(topics)))
        # The outputs of one batch become visible topic by topic. A second mark, sent when the first was seen, is in a
        # later batch, and batches of a partition come strictly one after another.
        for _ in range(2):
            meta = {"requestId": f"mark-{uuid.uuid4()}", "when": timestamp(datetime.now(UTC))}
            mark = about("medical.document-conversion", patient_id, **meta)
            assert (await self.deliver(samples.encode(mark)))[0] == 200
            await self.read(*marked, until=_sees(mark["meta"]["requestId"], marked))
        found = await self.read(*{*topics, *marked}, until=_sees(mark["meta"]["requestId"], marked), to_end=True)
        return {
            topic: [
                record
                for record in found[topic]
                if record.key == patient_id.encode() and (topic == "patients" or b"mark-" not in (record.value or b""))
            ]
            for topic in topics
        }


async def _behind(consumer):
    ends = await consumer.end_offsets(list(consumer.assignment()))
    return any([await consumer.position(partition) < end for partition, end in ends.items()])


def _sees(mark, topics):
    return lambda found: all(any(mark.encode() in (r.value or b"") for r in found[topic]) for topic in topics)


def about(name, patient_id, **meta):
    """Return a sample as a new message about this patient."""
    delivery = samples.load(name)
    delivery["meta"] |= {"messageId": str(uuid.uuid4()), **meta}
    for part in (*delivery.get("patients", ()), delivery.get("payload", {})):
        if "patientId" in part:
            part["patientId"] = patient_id
    return delivery


async def command(*arguments, environment):
    """Run `metriport-streams <arguments>` to its end; return exit code, output and what it said on standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        *arguments,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, problems = await process.communicate()
    return process.returncode, output.decode(), problems.decode()


def linked(service, name, patient_id, **meta):
    """Return a sample as a new message about this patient, its links alive and served by the tests' own server."""
    delivery = sampling.fresh(about(name, patient_id), now=datetime.now(UTC))
    delivery["meta"] |= meta
    return sampling.served_by(delivery, f"{service.links}/{patient_id}")


def header(record, name):
    return next((value.decode() for key, value in record.headers if key == name), None)


def value(record):
    return json.loads(record.value)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service(kafka, tmp_path_factory):
    async with linkserver.serving() as links:
        running = Service(kafka, tmp_path_factory.mktemp("service"), f"j{uuid.uuid4().hex[:8]}.", links)
        await processes.run("topics", "apply", environment=running.environment, log=running.log)
        async with processes.child("ingress", environment=running.environment, log=running.log) as ingress:
            await processes.wait_until_ready(f"{running.url}/ready", ingress, running.log)
            await running.start_worker()
            yield running
            await running.stop_worker()


def _ports_in_a_row(count):
    while True:
        first = ports.free(1)[0]
        with contextlib.suppress(OSError, OverflowError), contextlib.ExitStack() as held:
            for number in range(1, count):
                held.enter_context(socket.socket()).bind(("127.0.0.1", first + number))
            return first
