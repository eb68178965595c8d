"""The whole service for hours: whether memory levels off, and whether everything comes out once.

`python -m tests.faults.soak --minutes 120 --rate 20`. Once a minute a line for each process goes to `memory.csv` in the
folder that is told first; at the end comes a report, exit code 1 if something was found.
"""

import argparse
import asyncio
import csv
import json
import random
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, web

from cli import broker, linkserver, processes, sampling
from cli.broker import ports
from cli.demo import script
from models import headers, samples, topics
from models.stages import STAGES
from tests.faults import process_memory
from tests.faults.posts import Post
from tests.faults.process_memory import MB
from tests.faults.sender import KEY, Sender
from tests.faults.topics import Reading, Topics

PARTITIONS = 12
AGAIN_SHARE = 0.05
SETTLE_TIMEOUT_S = 900
SAMPLES = tuple(name for name in samples.names() if samples.load(name)["meta"]["type"] in topics.DELIVERY_TYPES)
ONCE = (*topics.DELIVERY_TYPES, topics.DOCUMENTS, topics.BUNDLES, topics.BULK_PATIENTS, topics.FHIR_SNAPSHOTS)
EMPTY = tuple(topics.quarantine(stage) for stage in STAGES)


class Deliveries:
    """Makes deliveries about always the same patients, and knows what each must become."""

    def __init__(self, *, links: str, patients: int, seed: int) -> None:
        self._chance = random.Random(seed)
        self._links = links
        self._patients = [str(uuid.UUID(int=self._chance.getrandbits(128), version=4)) for _ in range(patients)]
        self._lately: list[Post] = []
        self._made = 0
        self.expected: dict[str, Counter[str]] = {topic: Counter() for topic in ONCE}

    def next(self) -> Post:
        """Return the next one, now and then one that was sent before."""
        if self._lately and self._chance.random() < AGAIN_SHARE:
            return self._chance.choice(self._lately)
        self._made += 1
        name, lane = self._chance.choice(SAMPLES), self._chance.randrange(len(self._patients))
        patient_id = self._patients[lane]
        delivery = sampling.fresh(samples.load(name), now=datetime.now(UTC))
        for part in (*delivery.get("patients", ()), delivery.get("payload", {})):
            if "patientId" in part:
                part["patientId"] = patient_id
        post = Post(samples.encode(sampling.served_by(delivery, f"{self._links}/{patient_id}/{self._made}")), lane)
        self._lately = [*self._lately[-200:], post]
        kind, message_id = delivery["meta"]["type"], delivery["meta"]["messageId"]
        for topic, count in (script.behind_links(script.Post(name, post.body, kind)) + Counter({kind: 1})).items():
            self.expected[topic][message_id] = count
        return post


@asynccontextmanager
async def changing_links() -> AsyncIterator[str]:
    """Serve links whose content differs with the number in their path: every document is new, every bundle changed."""

    async def answer(request: web.Request) -> web.Response:
        _, patient_id, number, *_ = request.path.split("/")
        found = linkserver.find(request.path.rpartition("/")[2], patient_id=patient_id)
        if found is None or not linkserver.is_alive(request.query, now=datetime.now(UTC)):
            return web.Response(status=404)
        return web.Response(body=_changed(found, number), headers={"Content-Type": found.content_type})

    app = web.Application()
    app.router.add_get("/{key:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _changed(found: linkserver.Object, number: str) -> bytes:
    if found.content_type in {"application/json", "application/octet-stream"}:
        bundle = json.loads(found.body)
        for entry in bundle["entry"]:
            if entry["resource"]["resourceType"] in ("Condition", "Encounter", "Observation"):
                entry["resource"]["identifier"] = [{"system": "urn:example:version", "value": number}]
        return json.dumps(bundle).encode()
    ending = f"<!-- {number} -->\n" if "xml" in found.content_type or "html" in found.content_type else ""
    return found.body + ending.encode()


async def post_at(rate: float, sender: Sender, deliveries: Deliveries, *, until: float) -> None:
    """Post `rate` deliveries a second, whatever the answers take; one patient's are in no order."""
    begun_at, number = time.monotonic(), 0
    async with asyncio.TaskGroup() as group:
        while time.monotonic() < until:
            group.create_task(sender.post(deliveries.next()))
            number += 1
            await asyncio.sleep(max(0.0, begun_at + number / rate - time.monotonic()))


class Watch:
    """Writes down the memory of every process of the service once a minute."""

    def __init__(self, file: Path, parents: dict[str, int], *, interval_s: float) -> None:
        self._file = file
        self._parents = parents
        self._interval_s = interval_s
        self._begun_at = time.monotonic()
        self.samples: dict[str, list[tuple[float, float]]] = {}
        self.pids: dict[str, set[int]] = {}

    async def run(self) -> None:
        """Sample until cancelled."""
        with self._file.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("minutes", "process", "pid", "rss_mb", "uss_mb"))
            while True:
                self._sample(rows)
                file.flush()
                await asyncio.sleep(self._interval_s)

    def _sample(self, rows) -> None:
        hours = (time.monotonic() - self._begun_at) / 3600
        for role, pid in process_memory.roles(self._parents).items():
            if memory := process_memory.of(pid):
                self.samples.setdefault(role, []).append((hours, memory.uss_bytes / MB))
                self.pids.setdefault(role, set()).add(pid)
                sizes = f"{memory.rss_bytes / MB:.1f}", f"{memory.uss_bytes / MB:.1f}"
                rows.writerow((f"{hours * 60:.2f}", role, pid, *sizes))

    def report(self) -> dict[str, object]:
        """Return how each process went, by the memory that is its own."""
        found: dict[str, object] = {}
        for role, values in self.samples.items():
            if (trend := process_memory.trend(values)) is not None:
                facts = {name: round(value, 1) for name, value in asdict(trend).items()}
                found[role] = {"level": trend.level, **facts, "starts": len(self.pids[role])}
        return found


def compare(expected: dict[str, Counter[str]], found: dict[str, list], sender: Sender) -> dict[str, int]:
    """Return how many records are missing, or there once too often; every number but the first two must be zero."""
    statuses = Counter(answer.status for answer in sender.answers)
    got = {topic: Counter(headers.text(r.headers, headers.MESSAGE_ID) for r in found[topic]) for topic in expected}
    return {
        "acknowledged": statuses[200],
        "records": sum(len(found[topic]) for topic in expected),
        "not_acknowledged": len(sender.answers) - statuses[200],
        # More are there after a send whose outcome was not known: it went to the spool, too, and is dropped once.
        "webhooks_missing": max(0, statuses[200] - len(found[topics.WEBHOOKS])),
        "missing": sum((wanted - got[topic]).total() for topic, wanted in expected.items()),
        "repeated": sum((got[topic] - wanted).total() for topic, wanted in expected.items()),
        "not_stored": sum(
            json.loads(r.value)["outcome"] == "expired" for t in (topics.DOCUMENTS, topics.BUNDLES) for r in found[t]
        ),
        "quarantined": sum(len(found[topic]) for topic in EMPTY),
    }


async def until_finished(reading: Topics, expected: dict[str, Counter[str]]) -> bool:
    """Wait until as many records are there as must be, or nothing has come for a long time."""
    wanted = sum(counts.total() for counts in expected.values())
    try:
        async with asyncio.timeout(SETTLE_TIMEOUT_S):
            while await reading.written(ONCE) < wanted:  # noqa: ASYNC110 - Kafka tells nobody
                await asyncio.sleep(2)
    except TimeoutError:
        return False
    return True


async def run(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run the service and return what was found."""
    port, worker_port = ports.free(1)[0], options.worker_port
    log = folder / "service.log"
    async with AsyncExitStack() as stack:
        kafka = await stack.enter_async_context(broker.running(folder / "broker"))
        links = await stack.enter_async_context(changing_links())
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "METRIPORT_WEBHOOK_KEYS": KEY,
            "TOPIC_PARTITIONS": str(PARTITIONS),
            "TOPIC_REPLICATION": "1",
            "INGRESS_HOST": "127.0.0.1",
            "INGRESS_PORT": str(port),
            "WORKER_PORT": str(worker_port),
            "SPOOL_DIR": str(folder / "spool"),
            "STATE_DIR": str(folder / "state"),
            "BLOB_STORE_URL": (folder / "blobs").as_uri(),
            "FETCH_TRUSTED_ORIGINS": links,
            "LOG_FORMAT": "json",
        }
        await processes.run("topics", "apply", environment=environment, log=log)
        ingress = await stack.enter_async_context(processes.child("ingress", environment=environment, log=log))
        worker = await stack.enter_async_context(processes.child("worker", environment=environment, log=log))
        await processes.wait_until_ready(f"http://127.0.0.1:{port}/ready", ingress, log)
        parents = {"ingress": ingress.pid, "worker": worker.pid} | ({"kafka": kafka.pid} if kafka.pid else {})
        watch = Watch(folder / "memory.csv", parents, interval_s=options.interval_s)
        watching = asyncio.create_task(watch.run())
        session = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=5)))
        sender = Sender(session, f"http://127.0.0.1:{port}")
        deliveries = Deliveries(links=links, patients=options.patients, seed=options.seed)
        await post_at(options.rate, sender, deliveries, until=time.monotonic() + options.minutes * 60)
        async with Reading(kafka.bootstrap_servers, "metriport.", PARTITIONS) as reading:
            finished = await until_finished(reading, deliveries.expected)
            watching.cancel()
            found = await reading.read([topics.WEBHOOKS, *ONCE, *EMPTY])
    return {
        "minutes": options.minutes,
        "rate": options.rate,
        "finished": finished,
        "seconds_answered_99": sorted(answer.seconds for answer in sender.answers)[int(len(sender.answers) * 0.99)],
        "seconds_answered_most": max(answer.seconds for answer in sender.answers),
        **compare(deliveries.expected, found, sender),
        "memory": watch.report(),
    }


def sound(report: dict[str, object]) -> bool:
    """Return whether everything came out once and no process of ours grows or was started again."""
    wrong = ("not_acknowledged", "webhooks_missing", "missing", "repeated", "not_stored", "quarantined")
    memory = {role: facts for role, facts in report["memory"].items() if role != "kafka"}
    steady = all(facts["level"] and facts["starts"] == 1 for facts in memory.values())
    return bool(report["finished"]) and steady and not any(report[name] for name in wrong)


def main(arguments: list[str]) -> int:
    """Run it as told; 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rate", type=float, default=20, help="deliveries a second")
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument("--interval-s", type=float, default=60, help="between two looks at the memory")
    parser.add_argument("--worker-port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    sys.stdout.write(f"{folder}\n")
    sys.stdout.flush()
    report = asyncio.run(run(options, folder))
    for data in ("broker", "blobs", "state", "spool"):
        shutil.rmtree(folder / data, ignore_errors=True)
    text = json.dumps(report, indent=2) + "\n"
    (folder / "report.json").write_text(text)
    sys.stdout.write(text)
    return 0 if sound(report) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
