"""The running `links` stage fetches a large bundle: from a delivery in its topic to the record in `bundles`."""

import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.large_bundle import MIB, PACKED, PLAIN, Large, bare
from bench.measuring import ratio
from cli import broker, processes
from cli.broker import ports
from models import samples
from streams.deliveries.normalize import normalize

TYPES = {PLAIN: "application/json", PACKED: "application/gzip"}
GROWTH_MIB_MAX = 100


class Stage:
    """The stage as `metriport-streams worker links` runs it, on a Kafka and in a folder of its own."""

    def __init__(self, kafka: str, folder: Path, origin: str, authority: Path) -> None:
        self.kafka = kafka
        self.blobs = folder / "blobs"
        self.prefix = f"b{uuid.uuid4().hex[:8]}."
        self.log = folder / "worker.log"
        self.pid = 0
        self._port = ports.free(1)[0]
        self._environment = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "TOPIC_PREFIX": self.prefix,
            "TOPIC_PARTITIONS": "4",
            "TOPIC_REPLICATION": "1",
            "WORKER_PORT": str(self._port),
            "STATE_DIR": str(folder / "state"),
            "BLOB_STORE_URL": f"file://{self.blobs}",
            "FETCH_TRUSTED_ORIGINS": origin,
            "SSL_CERT_FILE": str(authority),
            "LOG_FORMAT": "json",
        }

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run it for a while."""
        await processes.run("topics", "apply", environment=self._environment, log=self.log)
        async with processes.child("worker", "links", environment=self._environment, log=self.log) as worker:
            await processes.wait_until_ready(f"http://127.0.0.1:{self._port}/ready", worker, self.log)
            self.pid = child_of(worker.pid)
            yield

    def memory(self, name: str) -> int:
        """Return a line of the stage's memory: `VmRSS` is what is resident now, `VmHWM` the most it was."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

    def forget_most(self) -> None:
        """Have the system begin anew with `VmHWM`."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


def child_of(pid: int) -> int:
    """Return the one process that `pid` has started."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def delivery(url: str, kind: str) -> tuple[bytes | None, bytes]:
    """Return key and value of what the `deliveries` stage makes of a webhook with this one link."""
    body = samples.load("medical.consolidated-data")
    body["meta"] |= {"messageId": str(uuid.uuid4()), "when": datetime.now(UTC).isoformat()}
    entry = body["patients"][0]["bundle"]["entry"][0]["resource"]
    entry["content"] = [{"attachment": {"contentType": kind, "url": url}}]
    normalized = normalize(body, index=0, received_at=None)
    return normalized.key, normalized.value


async def compare(large: Large, origin: str, folder: Path, rounds: int) -> None:
    """Take turns with a bare download; print ratio, times and memory."""
    async with broker.running(folder / "kafka") as kafka:
        stage = Stage(kafka.bootstrap_servers, folder, origin, large.authority)
        async with (
            stage.running(),
            AIOKafkaProducer(bootstrap_servers=stage.kafka) as producer,
            AIOKafkaConsumer(f"{stage.prefix}bundles", bootstrap_servers=stage.kafka, fetch_max_wait_ms=20) as consumer,
        ):
            await consumer.seek_to_end()
            for name in (PLAIN, PACKED):
                url, before, most, bare_s, ours_s = f"{origin}/{name}", stage.memory("VmRSS"), 0, [], []
                for _ in range(rounds + 1):
                    begun = time.perf_counter()
                    await bare(url, folder / "bare", large.trust())
                    bare_s.append(time.perf_counter() - begun)
                    (folder / "bare").unlink()
                    stage.forget_most()
                    key, value = delivery(url, TYPES[name])
                    begun = time.perf_counter()
                    await producer.send_and_wait(f"{stage.prefix}medical.consolidated-data", value, key=key)
                    record = json.loads((await consumer.getone()).value)
                    ours_s.append(time.perf_counter() - begun)
                    assert (record["outcome"], record["sha256"]) == ("stored", large.sha256), record["reason"]
                    most = max(most, stage.memory("VmHWM") - before)
                    (stage.blobs / record["blob"]).unlink()
                del bare_s[0], ours_s[0]
                ratios = [theirs / mine for theirs, mine in zip(bare_s, ours_s, strict=True)]
                print(ratio(f"worker, https {name}: record to record / bare download", ratios, "0.7"))
                print(
                    f"  {median(ours_s):.2f} s ({min(ours_s):.2f} to {max(ours_s):.2f}) and {median(bare_s):.2f} s "
                    f"for {large.megabytes:.0f} MB; the stage's memory grew from {before / MIB:.0f} MiB "
                    f"by {most / MIB:.0f} MiB at most (goal {GROWTH_MIB_MAX})",
                    flush=True,
                )
