"""Kill the ingress while it is posted to at full speed, and the broker freezes now and then: no 200 may be lost."""

import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from cli import broker, processes
from cli.broker import ports
from models import topics
from tests.faults import webhooks
from tests.faults.posts import posts
from tests.faults.sender import KEY, Sender, sender
from tests.faults.topics import Reading

PARTITIONS = 12
SETTLE_TIMEOUT_S = 60


@dataclass(frozen=True, kw_only=True)
class Drill:
    """How much is posted, and how often what is killed or frozen."""

    deliveries: int = 50_000
    patients: int = 2_000
    lanes: int = 16
    kills: int = 20
    freezes: int = 4
    pause_s: float = 2.0
    seed: int = 1


class Ingress:
    """One ingress at a time, always on the same port and spool."""

    def __init__(self, servers: str, folder: Path, *, partitions: int = PARTITIONS) -> None:
        self.log = folder / "ingress.log"
        self._port = ports.free(1)[0]
        self.url = f"http://127.0.0.1:{self._port}"
        self.environment = {
            "KAFKA_BOOTSTRAP_SERVERS": servers,
            "METRIPORT_WEBHOOK_KEYS": KEY,
            "TOPIC_PARTITIONS": str(partitions),
            "TOPIC_REPLICATION": "1",
            "FHIR_STATE_TYPES": "Patient",  # nobody reads them here
            "INGRESS_HOST": "127.0.0.1",
            "INGRESS_PORT": str(self._port),
            "SPOOL_DIR": str(folder / "spool"),
            "LOG_FORMAT": "json",
        }
        self.process: asyncio.subprocess.Process | None = None

    async def make_topics(self) -> None:
        """Make the topics it needs."""
        await processes.run("topics", "apply", environment=self.environment, log=self.log.with_name("topics.log"))

    async def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "ingress"), env={**os.environ, **self.environment}, stdout=log, stderr=log
            )

    async def kill(self) -> None:
        """Kill it, if it is there."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[broker.Broker, Ingress, Sender]]:
    """Have a broker, an ingress that is ready, and a sender."""
    async with broker.running(folder / "broker") as kafka:
        ingress = Ingress(kafka.bootstrap_servers, folder)
        await ingress.make_topics()
        await ingress.start()
        try:
            async with sender(ingress.url) as posting:
                await posting.until_ready(path="kafka")
                yield kafka, ingress, posting
        finally:
            await ingress.kill()


async def hurt(kafka: broker.Broker, ingress: Ingress, drill: Drill, chance: random.Random) -> None:
    """Kill the ingress and freeze the broker in random order, some kills while the broker is frozen."""
    acts = ["kill"] * drill.kills + ["freeze", "thaw"] * drill.freezes
    chance.shuffle(acts)
    assert kafka.pid is not None
    for act in acts:
        await asyncio.sleep(chance.uniform(0.5, drill.pause_s))
        if act == "kill":
            await ingress.kill()
            await ingress.start()
        else:
            os.kill(kafka.pid, signal.SIGSTOP if act == "freeze" else signal.SIGCONT)
    os.kill(kafka.pid, signal.SIGCONT)


async def run(drill: Drill) -> dict[str, object]:
    """Run the drill and return what was done and what was found."""
    chance = random.Random(drill.seed)
    with tempfile.TemporaryDirectory() as name:
        async with running(Path(name)) as (kafka, ingress, posting):
            sent = posts(drill.deliveries, patients=drill.patients, seed=drill.seed)
            sending = asyncio.create_task(posting.post_all(sent, lanes=drill.lanes))
            await hurt(kafka, ingress, drill, chance)
            unsent_when_hurt_no_more = len(sent) - len(posting.answers)
            await sending
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                await posting.until_ready(path="kafka", kafka="ok")
            async with Reading(kafka.bootstrap_servers, "metriport.", PARTITIONS) as reading:
                kept = (await reading.read([topics.WEBHOOKS]))[topics.WEBHOOKS]
    return {
        "seed": drill.seed,
        "kills": drill.kills,
        "freezes": drill.freezes,
        "answers": {str(status): count for status, count in Counter(a.status for a in posting.answers).items()},
        "unsent_when_hurt_no_more": unsent_when_hurt_no_more,
        **webhooks.compare(posting.answers, kept),
    }


def sound(report: dict[str, object]) -> bool:
    """Return whether everything that was acknowledged is kept, in order."""
    return not report["acknowledged_and_lost"] and not report["patients_out_of_order"]
