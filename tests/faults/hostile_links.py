"""Have the links stage fetch what wants to do it harm, among links that do not: nothing may stop it or be forgotten.

`python -m tests.faults.hostile_links` sends every link and every bulk result of `hostile_cases` through the running
stage, on a real Kafka and a folder of blobs, and prints what came out; the test suite sends some of them.
"""

import argparse
import asyncio
import hashlib
import json
import logging
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from cli import broker, processes
from tests.faults import hostile_cases
from tests.faults.hostile_cases import DOCUMENT, Case
from tests.faults.links import PARTITIONS, TOPIC, Run
from tests.links.misbehaving import Misbehaving, good, misbehaving

LIFE_S = 25
PER_DELIVERY = 10  # hostile ones, and as many that are not
BULK = "medical.bulk-patient-create"
TOPICS = ("documents", "bulk-patients", "quarantine.links")
PATIENCE_S = 300
RSS_BYTES_MAX = 700 * 2**20

LIMITS = {
    "FETCH_CONNECT_TIMEOUT_S": "2",
    "FETCH_ANSWER_TIMEOUT_S": "6",
    "FETCH_IDLE_TIMEOUT_S": "4",
    "FETCH_TOTAL_TIMEOUT_S": "20",
    "FETCH_BYTES_MAX_PER_LINK": str(64 * 2**20),
    "FETCH_INFLATED_BYTES_MAX": str(64 * 2**20),
    "BUNDLE_ORDER_WAIT_S": "5",
}


def _signed(life_s: int) -> str:
    return f"X-Amz-Date={datetime.now(UTC):%Y%m%dT%H%M%SZ}&X-Amz-Expires={life_s}"


@dataclass
class Report:
    """What came out."""

    hostile: int = 0
    files: int = 0
    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)  # each is a failure
    neighbours: int = 0
    rss_bytes_max: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        sent = f"{self.hostile} hostile links, {self.files} bulk results with {self.rows} rows"
        came = f"{self.neighbours} neighbours stored, in {self.seconds:.0f} s"
        memory = f"memory at most {self.rss_bytes_max / 2**20:.0f} MiB"
        failed = [f"FAILED: {finding}" for finding in self.findings]
        lines = [f"{sent}, {came}; {memory}", f"{dict(self.outcomes.most_common())}", *failed]
        return "\n".join(lines)


class Campaign:
    """One run of the stage, and what it wrote."""

    def __init__(self, run: Run, server: Misbehaving, kafka: str, every: int) -> None:
        self._run = run
        self._server = server
        self._kafka = kafka
        self._cases = {case.name: self._served(case) for case in list(hostile_cases.links())[::every]}
        self._files = {f"file-{number}": file for number, file in list(enumerate(hostile_cases.files()))[::every]}
        self._good = server.on("/good", good(DOCUMENT))
        self._found: dict[str, list[Any]] = {name: [] for name in TOPICS}
        self._seen: Counter[str] = Counter()  # by `ce_id`

    def _served(self, case: Case) -> Case:
        if case.answer is None:
            return case
        name = hashlib.sha256(case.name.encode()).hexdigest()
        return case._replace(url=self._server.on(f"/{name}", case.answer) + "&" + _signed(LIFE_S))

    async def go(self) -> Report:
        """Send everything, twice start the stage, and compare."""
        begun = time.monotonic()
        report = Report(hostile=len(self._cases), files=len(self._files))
        await self._run.start()
        sent = await self._send()
        async with AIOKafkaConsumer(
            *(self._run.prefix + name for name in TOPICS),
            bootstrap_servers=self._kafka,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        ) as reader:
            await self._read(reader, lambda: self._done(sent))
            report.rss_bytes_max = self._run.rss_bytes_max()
            ended = self._run.code
            await self._run.end(signal.SIGTERM)
            # Once more: what is settled stays settled, and the stage takes what comes next.
            await self._run.start()
            await self._send_good("after", 1)
            await self._read(reader, lambda: "after-0" in self._documents())
            await self._run.end(signal.SIGTERM)
        report.seconds = time.monotonic() - begun
        self._compare(report, sent)
        if ended is not None:
            report.findings.append(f"the stage ended by itself with code {ended}")
        if report.rss_bytes_max > RSS_BYTES_MAX:
            report.findings.append("it took more memory than it may")
        return report

    # --- in ----------------------------------------------------------------------------------------------------------

    async def _send(self) -> list[str]:
        """Send deliveries of hostile and good links, and bulk results; return the ids of the good ones."""
        cases, goods = list(self._cases.values()), list[str]()
        for number, first in enumerate(range(0, len(cases), PER_DELIVERY)):
            documents = []
            for case in cases[first : first + PER_DELIVERY]:
                goods.append(f"good-{len(goods)}")
                documents += [{"id": case.name, "url": case.url}, {"id": goods[-1], "url": self._good}]
            await self._send_record(TOPIC, number, f"m-{number}", {"patientId": f"p-{number}", "documents": documents})
        for number, (name, file) in enumerate(self._files.items()):
            url = self._server.on(f"/{name}", hostile_cases.serving(file)) + "&" + _signed(120)
            await self._send_record(BULK, number, name, {"requestId": name, "result": url, "status": "completed"})
        return goods

    async def _send_good(self, name: str, count: int) -> None:
        documents = [{"id": f"{name}-{number}", "url": self._good} for number in range(count)]
        await self._send_record(TOPIC, 0, name, {"patientId": "p-0", "documents": documents})

    async def _send_record(self, topic: str, number: int, message: str, fields: dict[str, Any]) -> None:
        when = datetime.now(UTC) - timedelta(seconds=600 - LIFE_S)
        record = {"messageId": message, "type": topic, "when": when.isoformat(), **fields}
        async with AIOKafkaProducer(bootstrap_servers=self._kafka, max_request_size=2**25) as producer:
            await producer.send_and_wait(
                self._run.prefix + topic,
                json.dumps(record, ensure_ascii=False).encode(),
                key=message.encode(),
                partition=number % PARTITIONS,
                headers=[("ce_id", f"{message}/0".encode()), ("x-source", b"webhooks/0/%d/0" % number)],
            )

    # --- out ---------------------------------------------------------------------------------------------------------

    async def _read(self, reader: AIOKafkaConsumer, done: Any) -> None:
        until = time.monotonic() + PATIENCE_S
        while not done() and time.monotonic() < until and self._run.code is None:
            for partition, records in (await reader.getmany(timeout_ms=200)).items():
                self._found[partition.topic.removeprefix(self._run.prefix)] += records
                self._seen.update(dict(record.headers)["ce_id"].decode() for record in records)

    def _documents(self) -> dict[str, str]:
        """Return what is told of each document: `stored`, or why it is not."""
        found = (json.loads(record.value) for record in self._found["documents"])
        return {fields["documentId"]: fields["reason"] or fields["outcome"] for fields in found}

    def _rows(self, name: str) -> tuple[list[int], int]:
        """Return the rows of a bulk result that came out in either way, and how often it was set aside as a whole."""
        rows, whole = [], 0
        for topic in ("bulk-patients", "quarantine.links"):
            for record in self._found[topic]:
                if record.key == name.encode():
                    place = int(dict(record.headers)["ce_id"].rpartition(b"/")[2])
                    rows += [place] if place else []
                    whole += not place
        return sorted(rows), whole

    def _done(self, goods: list[str]) -> bool:
        documents = self._documents().keys()
        rows = Counter(record.key for topic in ("bulk-patients", "quarantine.links") for record in self._found[topic])
        return documents >= {*self._cases, *goods} and all(
            rows[name.encode()] >= (hostile_cases.rows(file) or 1) for name, file in self._files.items()
        )

    def _compare(self, report: Report, goods: list[str]) -> None:
        documents = self._documents()
        report.neighbours = sum(documents.get(name) == "stored" for name in goods)
        report.outcomes.update(documents[name] for name in self._cases if name in documents)
        findings = report.findings
        findings += [f"neighbour {name} is {documents.get(name)}" for name in goods if documents.get(name) != "stored"]
        for name, case in self._cases.items():
            if documents.get(name) not in case.may_be:
                findings.append(f"{name} is {documents.get(name)}")
        for name, file in self._files.items():
            rows, whole = self._rows(name)
            count = hostile_cases.rows(file)
            report.rows += len(rows)
            if rows != list(range(1, (count or 0) + 1)) or whole != (not count):
                findings.append(f"{name} of {len(file)} bytes: {len(rows)} rows of {count}, set aside {whole} times")
        findings += [f"{ce_id} came out {count} times" for ce_id, count in self._seen.items() if count > 1]
        if len(self._found["documents"]) != len(documents):
            findings.append("a document came out twice")


class HostileRun(Run):
    """The stage, with names that lead where these links want; how much memory it took, and whether it still runs."""

    def __init__(self, kafka: str, folder: Path, origin: str) -> None:
        super().__init__(kafka, folder, SimpleNamespace(origins=[origin]))  # type: ignore[arg-type]
        self.environment |= LIMITS
        self.command = ("tests.faults.hostile_links", "--stage")

    @property
    def code(self) -> int | None:
        """The exit code, or None while it runs."""
        assert self._process is not None
        return self._process.returncode

    def rss_bytes_max(self) -> int:
        """The most memory it has had; 0 where the system does not tell."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


class Names(AbstractResolver):
    """Resolves each name to what its first label says."""

    NAMED = {  # noqa: RUF012 - a table
        "mapped": ["::ffff:169.254.169.254"],
        "nat64": ["64:ff9b::a9fe:a9fe"],
        "six-to-four": ["2002:7f00:1::"],
        "teredo": ["2001:0:7f00:1::"],
        "loopback6": ["::1"],
        "link-local": ["fe80::1%eth0"],
        "mixed": ["52.92.0.1", "127.0.0.1"],
        "many": ["127.0.0.1"] * 10_000,
        "odd": ["999.1.1.1"],
        "empty": [],
        "text": ["not an address"],
        "surrogate": ["\udcff"],
    }
    RAISED = {  # noqa: RUF012 - a table
        "again": socket.gaierror(socket.EAI_AGAIN, "again"),
        "value": ValueError("odd"),
        "unicode": UnicodeError("odd"),
        "recursion": RecursionError("odd"),
    }

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        label = host.partition(".")[0]
        if label == "hang":
            await asyncio.Event().wait()
        if label in self.RAISED:
            raise self.RAISED[label]
        dotted = label.replace("-", ".")
        found = self.NAMED.get(label, [dotted] if dotted.replace(".", "").isdecimal() else None)
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "nobody")
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
            for address in found
        ]

    async def close(self) -> None:
        pass


async def campaign(kafka: str, folder: Path, *, every: int = 1) -> Report:
    """Send each link and file, or one of so many, and return what came out."""
    async with misbehaving() as server:
        run = HostileRun(kafka, folder, server.origin)
        await processes.run("topics", "apply", environment=run.environment, log=run.log)
        return await Campaign(run, server, kafka, every).go()


def stage() -> None:
    """Run the stage itself, with `Names`."""
    from streams import stage  # noqa: PLC0415 - what it brings is of no use to the campaign
    from streams.links.fetching import client  # noqa: PLC0415

    client.ThreadedResolver = Names  # type: ignore[misc, assignment]
    stage.main("links")


async def main(every: int) -> int:
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # topics this new have no leaders yet, and it says so
    with tempfile.TemporaryDirectory() as folder:
        async with broker.running(Path(folder) / "broker") as running:
            report = await campaign(running.bootstrap_servers, Path(folder), every=every)
        print(report, flush=True)  # noqa: T201
        if report.findings:
            print((Path(folder) / "worker.log").read_text()[-5000:])  # noqa: T201
    return bool(report.findings)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="send one of so many")
    parser.add_argument("--stage", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        stage()
    else:
        sys.exit(asyncio.run(main(arguments.every)))
