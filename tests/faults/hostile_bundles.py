"""Hostile bundles through the running `bundles` stage on a real Kafka, each followed by a good one on its partition.

`python -m tests.faults.hostile_bundles [COUNT]` sends COUNT (300) and the large ones, and prints what came of them; the
test suite runs a smaller slice. Wanted: the stage is never started again, every good bundle and every good resource
comes out byte for byte, each hostile one has the outcome it must have, and the memory stays within its bound.
"""

import argparse
import asyncio
import hashlib
import json
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from cli import broker, processes
from tests.faults import hostile_shapes
from tests.faults.hostile_shapes import Hostile, neighbour

PARTITIONS = 2
STUCK_TIMEOUT_S = 30
READY_TIMEOUT_S = 120


@dataclass
class Report:
    """What came out. All but the counts and figures must be empty."""

    hostile: int = 0
    neighbours: int = 0
    ended: str = ""
    silent: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    most_mb: int = 0

    @property
    def well(self) -> bool:
        """Whether all is as it must be."""
        return not (self.ended or self.silent or self.wrong)

    def __str__(self) -> str:
        return (
            f"{self.hostile} hostile, {self.neighbours} good bundles in {self.seconds:.0f} s; "
            f"ended: {self.ended or 'no'}; silent {self.silent[:5]}; wrong {self.wrong[:5]}; "
            f"stage at most {self.most_mb} MB\n"
            f"reasons {dict(self.reasons)}\nfindings {dict(self.findings)}"
        )


class Run:
    """One set of topics and one stage, which nobody starts again."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.kafka = kafka
        self.folder = folder
        self.prefix = f"h{uuid.uuid4().hex[:8]}."
        self.log = folder / "stage.log"
        (folder / "blobs").mkdir()
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "TOPIC_PREFIX": self.prefix,
            "TOPIC_PARTITIONS": str(PARTITIONS),
            "TOPIC_REPLICATION": "1",
            "WORKER_PORT": "0",
            "STATE_DIR": str(folder / "state"),
            "BLOB_STORE_URL": f"file://{folder}/blobs",
            "STUCK_TIMEOUT_S": str(STUCK_TIMEOUT_S),
            "LOG_FORMAT": "json",
        }

    @asynccontextmanager
    async def stage(self) -> Any:
        """Run the stage; yield its process."""
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "streams.stage", "bundles"),
                env=self.environment,
                cwd=Path(__file__).parents[2],
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def send(self, bundles: list[Hostile]) -> None:
        """Store each blob and write its record, all to the partitions in turn."""
        options = {"max_request_size": 2**22, "linger_ms": 5}
        async with AIOKafkaProducer(bootstrap_servers=self.kafka, **options) as producer:
            for number, bundle in enumerate(bundles):
                name = f"hostile-{number}"
                if bundle.raw is not None:
                    (self.folder / "blobs" / name).write_bytes(bundle.raw)
                value = json.dumps(_value(bundle, name, number)).encode()
                place = number // 2 % PARTITIONS  # a hostile one and the good one behind it
                await producer.send(f"{self.prefix}bundles", value, key=bundle.patient.encode(), partition=place)

    async def read(self, count: int, process: asyncio.subprocess.Process) -> dict[str, list[Any]]:
        """Return all records by topic, once `count` snapshots are there or the stage has ended or stands still."""
        names = ["fhir.snapshots", "fhir.changes", "fhir.rejected", "quarantine.bundles"]
        options = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "max_partition_fetch_bytes": 2**26}
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka, **options) as consumer:
            consumer.assign(
                [TopicPartition(self.prefix + name, place) for name in names for place in range(PARTITIONS)]
            )
            found: dict[str, list[Any]] = defaultdict(list)
            moved_at = time.monotonic()
            while process.returncode is None and time.monotonic() - moved_at < READY_TIMEOUT_S:
                some = await consumer.getmany(timeout_ms=500)
                for place, records in some.items():
                    found[place.topic.removeprefix(self.prefix)] += records
                    moved_at = time.monotonic()
                if not some and len(found["fhir.snapshots"]) >= count:
                    break
            return found


def _value(bundle: Hostile, name: str, number: int) -> dict[str, Any]:
    raw = bundle.raw or b""
    return {
        "messageId": f"m-{number}",
        "type": "medical.consolidated-data",
        "when": "2025-01-01T00:00:00Z",
        "patientId": bundle.patient,
        "kind": "consolidated",
        "format": "json",
        "complete": True,
        "bytes": len(raw),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "blob": name,
        "outcome": "stored",
        **bundle.facts,
    }


def _judge(bundles: list[Hostile], found: dict[str, list[Any]], report: Report) -> None:
    """Compare what came out with what must, bundle by bundle, told apart by the place of the record it came from."""
    snapshots, changes, refused, quarantined = (
        _by_source(found[name]) for name in ("fhir.snapshots", "fhir.changes", "fhir.rejected", "quarantine.bundles")
    )
    for number, (place, bundle) in enumerate(_places(bundles)):
        told = [json.loads(record.value) for record in snapshots[place]]
        if len(told) != 1:
            report.silent.append(f"{number}: {len(told)} snapshots")
            continue
        reason = told[0]["reason"]
        report.reasons[str(reason)] += 1
        if reason not in bundle.reasons or (reason is not None) != bool(quarantined[place]):
            report.wrong.append(f"{number}: {reason}, {len(quarantined[place])} quarantined")
            continue
        kinds = Counter(
            json.loads(record.value)["issue"][0]["details"]["coding"][0]["code"] for record in refused[place]
        )
        report.findings += kinds
        came = [record.value for record in changes[place] if dict(record.headers)["x-change"] == b"created"]
        if not bundle.by_chance and (kinds != bundle.findings or sorted(came) != sorted(bundle.good)):
            report.wrong.append(f"{number}: {dict(kinds - bundle.findings)}, {len(came)} of {len(bundle.good)} good")


def _places(bundles: list[Hostile]) -> Iterator[tuple[tuple[int, int], Hostile]]:
    offsets = Counter[int]()
    for number, bundle in enumerate(bundles):
        partition = number // 2 % PARTITIONS
        yield (partition, offsets[partition]), bundle
        offsets[partition] += 1


def _by_source(records: list[Any]) -> dict[tuple[int, int], list[Any]]:
    found: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for record in records:
        _, partition, offset, _ = dict(record.headers)["x-source"].decode().rsplit("/", 3)
        found[int(partition), int(offset)].append(record)
    return found


def _most_mb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next((int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


async def campaign(kafka: str, folder: Path, *, count: int, large: bool, seed: int = 1) -> Report:
    """Send `count` hostile bundles and as many good ones, the large ones too if wanted, and compare what comes out."""
    run = Run(kafka, folder)
    hostile = [*hostile_shapes.small(count, seed), *(hostile_shapes.large() if large else ())]
    bundles = list(chain.from_iterable((each, neighbour(f"n-{number}")) for number, each in enumerate(hostile)))
    report = Report(hostile=len(hostile), neighbours=len(hostile))
    await processes.run("topics", "apply", environment=run.environment, log=run.log)
    await run.send(bundles)
    begun_at = time.monotonic()
    async with run.stage() as process:
        found = await run.read(len(bundles), process)
        report.seconds = time.monotonic() - begun_at
        if process.returncode is None:
            report.most_mb = _most_mb(process.pid)
        else:
            report.ended = f"exit {process.returncode}"
    _judge(bundles, found, report)
    return report


async def main(count: int) -> None:
    """Run the campaign on a broker of its own and print what came out; exit 1 if anything is not as it must be."""
    with tempfile.TemporaryDirectory() as folder:
        async with broker.running(Path(folder) / "broker") as running:
            report = await campaign(running.bootstrap_servers, Path(folder), count=count, large=True)
            print(report)  # noqa: T201
            if not report.well:
                print((Path(folder) / "stage.log").read_text()[-3000:])  # noqa: T201
                sys.exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=300)
    asyncio.run(main(parser.parse_args().count))
