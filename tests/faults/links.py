"""Hurt the links stage on a real Kafka: links that hang and drip among good ones, and workers killed in the middle.

`python -m tests.faults.links hang` and `... kill` print what they measured; the test suite runs smaller slices.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import signal
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from cli import broker, processes

TOPIC = "medical.document-bulk-download-urls"
PARTITIONS = 4


@dataclass(frozen=True, kw_only=True)
class Drill:
    """What is sent, and what is done meanwhile."""

    good: int = 5_000
    good_bytes: int = 50_000
    hanging: int = 0
    slow_hosts: int = 0
    links_per_delivery: int = 25
    life_s: int = 60
    kills: int = 0
    serve_after_s: float = 0.0
    seed: int = 1


@dataclass
class Report:
    """What came out."""

    waits_s: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    repeated: int = 0
    wrong: int = 0
    left_over: list[str] = field(default_factory=list)
    blobs: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        median = statistics.median(self.waits_s) if self.waits_s else float("nan")
        slowest = max(self.waits_s, default=float("nan"))
        return (
            f"{dict(self.outcomes)} in {self.seconds:.1f} s; median wait {median:.2f} s, longest {slowest:.2f} s; "
            f"missing {self.missing}, repeated {self.repeated}, wrong {self.wrong}, blobs {self.blobs}, "
            f"left over {self.left_over[:3]}"
        )


class Links:
    """Serves good links, links that hang and hosts that drip; remembers nothing but what each good body is."""

    def __init__(self, drill: Drill) -> None:
        self._drill = drill
        self._runner: web.AppRunner | None = None
        self.origins: list[str] = []

    def body(self, number: int) -> bytes:
        """Return the content of one good link."""
        seed = hashlib.sha256(b"%d" % number).digest()
        return (seed * (self._drill.good_bytes // len(seed) + 1))[: self._drill.good_bytes]

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/good/{number}", self._good)
        app.router.add_get("/hang/{number}", self._hang)
        app.router.add_get("/slow/{number}", self._slow)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        for _ in range(1 + self._drill.slow_hosts):
            site = web.TCPSite(self._runner, "127.0.0.1", 0)
            await site.start()
        self.origins = [f"http://127.0.0.1:{address[1]}" for address in self._runner.addresses]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _good(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self._drill.serve_after_s)
        return web.Response(body=self.body(int(request.match_info["number"])))

    async def _hang(self, _request: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        return web.Response()

    async def _slow(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "50000"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(50_000):
                await response.write(b"x")
                await asyncio.sleep(1)
        return response

    def urls(self) -> list[tuple[str, int | None]]:
        """Return every link in the order they are sent, with the number of its body if it is good."""
        chance = random.Random(self._drill.seed)
        life = f"X-Amz-Date={datetime.now(UTC):%Y%m%dT%H%M%SZ}&X-Amz-Expires={self._drill.life_s}&X-Amz-Signature=00"
        good: list[tuple[str, int | None]] = [
            (f"{self.origins[0]}/good/{number}?{life}", number) for number in range(self._drill.good)
        ]
        bad: list[tuple[str, int | None]] = [
            (f"{self.origins[0]}/hang/{number}?{life}", None) for number in range(self._drill.hanging)
        ]
        bad += [(f"{origin}/slow/{place}?{life}", None) for place, origin in enumerate(self.origins[1:])]
        links = good + bad
        chance.shuffle(links)
        return links


class Run:
    """One broker, one worker process, one set of topics."""

    def __init__(self, kafka: str, folder: Path, links: Links) -> None:
        self._kafka = kafka
        self._folder = folder
        self._links = links
        self.prefix = f"l{uuid.uuid4().hex[:8]}."
        self.environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "TOPIC_PREFIX": self.prefix,
            "TOPIC_PARTITIONS": str(PARTITIONS),
            "TOPIC_REPLICATION": "1",
            "WORKER_PORT": "0",
            "STATE_DIR": str(folder / "state"),
            "BLOB_STORE_URL": f"file://{folder}/blobs",
            "FETCH_TRUSTED_ORIGINS": ",".join(links.origins),
            "SESSION_TIMEOUT_S": "6",
            "LOG_FORMAT": "json",
        }
        self.log = folder / "worker.log"
        self.command = ("streams.stage", "links")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the stage, as the supervisor does."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *self.command),
                env={"PATH": "/usr/bin:/bin", **self.environment},
                cwd=Path(__file__).parents[2],
                stdout=log,
                stderr=log,
            )

    async def end(self, number: signal.Signals) -> None:
        """Signal the stage and wait for its end."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        await self._process.wait()

    async def send(self, links: list[tuple[str, int | None]], per_delivery: int) -> dict[str, float]:
        """Write deliveries that list `links`; return when each document was sent, by its id."""
        producer = AIOKafkaProducer(bootstrap_servers=self._kafka, linger_ms=5, max_request_size=2**22)
        await producer.start()
        sent: dict[str, float] = {}
        for first in range(0, len(links), per_delivery):
            some, delivery = links[first : first + per_delivery], first // per_delivery
            documents = [
                {"id": f"good-{number}" if number is not None else f"bad-{first + place}", "url": url}
                for place, (url, number) in enumerate(some)
            ]
            record = {
                "messageId": f"m-{delivery}",
                "type": TOPIC,
                "patientId": f"p-{delivery % 50}",
                "documents": documents,
            }
            headers = [
                ("ce_id", b"m-%d/0" % delivery),
                ("x-source", f"{self.prefix}webhooks/0/{delivery}/0".encode()),
            ]
            await producer.send(
                self.prefix + TOPIC,
                json.dumps(record).encode(),
                key=record["patientId"].encode(),
                partition=delivery % 50 % PARTITIONS,
                headers=headers,
            )
            sent |= {str(document["id"]): time.time() for document in documents}
        await producer.stop()
        return sent

    @contextlib.asynccontextmanager
    async def reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        """Read the documents from their beginning."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka, auto_offset_reset="earliest", fetch_max_wait_ms=50)
        consumer.assign([TopicPartition(f"{self.prefix}documents", number) for number in range(PARTITIONS)])
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()


async def drill(drill: Drill, kafka: str, folder: Path) -> Report:
    """Run one drill and compare what came out with what was sent."""
    async with Links(drill) as links:
        run = Run(kafka, folder, links)
        await processes.run("topics", "apply", environment=run.environment, log=run.log)
        await run.start()
        await asyncio.sleep(6)  # a worker that is there, as in real life: the wait is for the fetch, not for Faust
        begun = time.time()
        every = links.urls()
        sent = await run.send(every, drill.links_per_delivery)
        killing = asyncio.create_task(_kill(run, drill))
        try:
            report = await _compare(run, drill, links, sent, begun)
        finally:
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)
            await run.end(signal.SIGTERM)
        # Only now: what drips has begun a blob, and rightly so, as long as the worker is there.
        return _look(folder / "blobs", report)


async def _kill(run: Run, drill: Drill) -> None:
    chance = random.Random(drill.seed)
    for _ in range(drill.kills):
        await asyncio.sleep(chance.uniform(7.0, 10.0))
        await run.end(signal.SIGKILL)
        await run.start()


async def _compare(run: Run, drill: Drill, links: Links, sent: dict[str, float], begun: float) -> Report:
    report, seen = Report(), dict[str, str]()
    expected = {f"good-{number}" for number in range(drill.good)}
    until = begun + drill.life_s + 60 + 12 * drill.kills
    async with run.reader() as reader:
        while time.time() < until:
            for records in (await reader.getmany(timeout_ms=200)).values():
                for record in records:
                    _take(record, report, seen, sent, links)
            if expected <= set(seen.values()) and not drill.kills:
                break
            if drill.kills and expected <= set(seen.values()) and time.time() > begun + 8 * drill.kills:
                break
    report.missing = len(expected - set(seen.values()))
    report.seconds = time.time() - begun
    report.waits_s.sort()
    return report


def _look(blobs: Path, report: Report) -> Report:
    """Add what is in the store."""
    files = [path for path in blobs.rglob("*") if path.is_file()]
    report.blobs = len({path.name for path in files if "sha256" in path.parts})
    report.left_over = [str(path) for path in files if "staging" in path.parts]
    return report


def _take(record: Any, report: Report, seen: dict[str, str], sent: dict[str, float], links: Links) -> None:
    value = json.loads(record.value)
    ce_id = dict(record.headers)["ce_id"].decode()
    if ce_id in seen or value["documentId"] in seen.values():
        report.repeated += 1
    seen[ce_id] = value["documentId"]
    kind, number = value["documentId"].split("-")
    report.outcomes[f"{kind} {value['outcome']} {value['reason'] or ''}".strip()] += 1
    if kind == "good":
        fetched = datetime.fromisoformat(value["fetchedAt"]).timestamp()
        report.waits_s.append(fetched - sent[value["documentId"]])
        if value["outcome"] == "stored" and value["sha256"] != hashlib.sha256(links.body(int(number))).hexdigest():
            report.wrong += 1


HANG = Drill(hanging=200, slow_hosts=20)
ALONE = Drill()
KILL = Drill(good=500, links_per_delivery=10, kills=10, life_s=600, serve_after_s=2.0)


async def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with broker.running(Path(folder) / "broker") as running:
            for name in names:
                drills = {"alone": ALONE, "hang": HANG, "kill": KILL}
                place = Path(folder) / name
                place.mkdir()
                report = await drill(drills[name], running.bootstrap_servers, place)
                print(f"{name}: {report}", flush=True)  # noqa: T201
                if report.missing or report.wrong:
                    print((place / "worker.log").read_text()[-3000:])  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("drills", nargs="+", choices=["alone", "hang", "kill"])
    asyncio.run(main(parser.parse_args().drills))
