"""Records per second and CPU per record of the `deliveries` stage, and how fast its state comes back.

Side by side in one run, because only ratios mean anything on a shared machine: the stage with everything on, a bare
aiokafka loop that only copies, and the agent Faust's documentation would have you write.
"""

import asyncio
import contextlib
import json
import os
import re
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from cli import broker
from models import topics

ROOT = Path(__file__).parents[1]
PARTITIONS = 4
WINDOW_S = 12.0
ROUNDS = 3
STATE_KEYS = 200_000
OUTPUT = "medical.document-download"
COMPACT = {"cleanup.policy": "compact"}
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Speed:
    """What one program did in one window."""

    per_s: float
    cpu_us: float


def delivery(number: int, size: int) -> bytes:
    """Return a document-download delivery of about `size` bytes; every tenth repeats an earlier one."""
    message = number - 7 if number % 10 == 9 else number
    document = {"id": "d", "fileName": "f.xml", "status": "completed", "size": 1, "mimeType": "application/xml"}
    one = {**document, "description": "x" * (size - 420)}
    meta = {"messageId": f"m{message}", "when": "2026-11-22T10:00:00.000Z", "type": "medical.document-download"}
    patients = [{"patientId": f"p{message % 2000}", "status": "completed", "documents": [one]}]
    return json.dumps({"meta": meta, "patients": patients}).encode()


@contextlib.asynccontextmanager
async def program(name: str, *arguments: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run one of the programs and end it."""
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"bench.programs.{name}", *arguments, cwd=ROOT, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


async def watch(servers: str, outputs: list[str], total: int, process: asyncio.subprocess.Process) -> Speed:
    """Measure from the first output that is seen to the last one, or to the end of the window."""
    tps = [TopicPartition(output, number) for output in outputs for number in range(PARTITIONS)]
    seen: list[tuple[float, int, float]] = []
    async with AIOKafkaConsumer(bootstrap_servers=servers) as consumer:
        begun_at = time.monotonic()
        while not seen or (seen[-1][1] < total and time.monotonic() - seen[0][0] < WINDOW_S):
            if time.monotonic() - begun_at > 4 * WINDOW_S:
                raise TimeoutError("no output; see the program's log")
            done = sum((await consumer.end_offsets(tps)).values())
            if done and (not seen or done > seen[-1][1]):
                seen.append((time.monotonic(), done, cpu_s(process.pid)))
            await asyncio.sleep(0.02)
    first, last = seen[0], seen[-1]
    count = last[1] - first[1]
    return Speed(count / (last[0] - first[0]), (last[2] - first[2]) / count * 1e6)


async def create(servers: str, names: dict[str, dict[str, str]]) -> None:
    """Create topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=config) for name, config in names.items()])
    await admin.close()
    await asyncio.sleep(1)


async def speeds(servers: str, size: int, total: int, folder: Path) -> dict[str, Speed]:
    """Run the three programs over the same deliveries."""
    prefix = f"b{uuid.uuid4().hex[:6]}."
    agent = f"{prefix}agent."
    source = f"{prefix}{topics.WEBHOOKS}"
    outputs = (*topics.DELIVERY_TYPES, topics.UNRECOGNISED, topics.quarantine("deliveries"))
    logs = {f"{prefix}deliveries-state-changelog": COMPACT, f"{agent}agent-seen-changelog": COMPACT}
    both = {start + name: {} for start in (prefix, agent) for name in outputs}
    await create(servers, {source: {}, f"{prefix}copy": {}, **both, **logs})
    async with AIOKafkaProducer(bootstrap_servers=servers, linger_ms=5, max_batch_size=500_000) as producer:
        for number in range(total):
            await producer.send(source, delivery(number, size), key=b"k", partition=number // 10 % PARTITIONS)
    state = str(folder / prefix)
    runs = {
        "bare copy": ("bare_copy", [f"{prefix}copy"], (servers, source, f"{prefix}copy")),
        "stage": ("stage", [f"{prefix}{OUTPUT}"], (servers, prefix, str(PARTITIONS), state)),
        "documented agent": (
            "documented_agent",
            [f"{agent}{OUTPUT}"],
            (servers, agent, str(PARTITIONS), state, source),
        ),
    }
    found = {}
    for name, (module, written, arguments) in runs.items():
        wanted = total if module == "bare_copy" else total * 9 // 10
        async with program(module, *arguments, log=folder / f"{module}.log") as process:
            speed = await watch(servers, written, wanted, process)
        # A repeat is read and dropped: it is work too.
        found[name] = Speed(speed.per_s * total / wanted, speed.cpu_us * wanted / total)
    return found


async def restore_s(servers: str, module: str, changelog: str, folder: Path) -> float:
    """Fill a changelog, start a program on an empty folder, and return how long its state took."""
    prefix = f"b{uuid.uuid4().hex[:6]}."
    outputs = (topics.WEBHOOKS, *topics.DELIVERY_TYPES, topics.UNRECOGNISED, topics.quarantine("deliveries"))
    await create(servers, {**{prefix + name: {} for name in outputs}, prefix + changelog: COMPACT})
    async with AIOKafkaProducer(bootstrap_servers=servers, linger_ms=5, max_batch_size=500_000) as producer:
        for number in range(STATE_KEYS):
            key = b"m/%032d/0" % number
            await producer.send(prefix + changelog, b"1", key=key, partition=number % PARTITIONS)
    log = folder / f"restore-{module}.log"
    source = prefix + topics.WEBHOOKS
    async with program(module, servers, prefix, str(PARTITIONS), str(folder / prefix), source, log=log):
        for _ in range(1200):
            lines = [line for line in log.read_text().splitlines() if "state_restored" in line]
            if lines and (seconds := re.search(r'seconds"?[=:] ?([0-9.]+)', lines[0])):
                return float(seconds[1])
            await asyncio.sleep(0.1)
    raise TimeoutError(log.read_text()[-500:])


def shown(name: str, ratios: list[float]) -> str:
    """Return a ratio with its spread."""
    return f"{name:<58}{statistics.median(ratios):8.2f}   ({min(ratios):.2f} to {max(ratios):.2f})"


async def measure(servers: str, folder: Path) -> None:
    """Print everything as ratios."""
    for size, total in ((1_000, 150_000), (20_000, 15_000)):
        rounds = [await speeds(servers, size, total, folder) for _ in range(ROUNDS)]
        for name in rounds[0]:
            speed = statistics.median([one[name].per_s for one in rounds])
            cpu = statistics.median([one[name].cpu_us for one in rounds])
            print(f"{size // 1000:3} kB  {name:<20}{speed:10.0f} records/s {cpu:8.0f} us CPU each")
        for other in ("bare copy", "documented agent"):
            label = f"{size // 1000:3} kB  stage / {other}, records/s"
            print(shown(label, [one["stage"].per_s / one[other].per_s for one in rounds]))
    pairs = [
        (
            await restore_s(servers, "stage", "deliveries-state-changelog", folder),
            await restore_s(servers, "documented_agent", "agent-seen-changelog", folder),
        )
        for _ in range(ROUNDS)
    ]
    print(f"restore of {STATE_KEYS} keys: {STATE_KEYS / statistics.median(p[0] for p in pairs):.0f} records/s")
    print(shown("restore, stage / Faust's own", [theirs / ours for ours, theirs in pairs]))


async def main() -> None:
    """Run everything on a Kafka of its own."""
    with tempfile.TemporaryDirectory() as name:
        async with broker.running(Path(name) / "kafka") as running:
            await measure(running.bootstrap_servers, Path(name))


if __name__ == "__main__":
    asyncio.run(main())
