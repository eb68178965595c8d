"""Freeze the broker, kill it and bring it back under a steady rate of deliveries: the sender must not notice."""

import asyncio
import contextlib
import os
import signal
import statistics
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from cli import broker
from models import topics
from tests.faults import webhooks
from tests.faults.ingress_killed import PARTITIONS, SETTLE_TIMEOUT_S, running
from tests.faults.posts import posts
from tests.faults.sender import Sender
from tests.faults.topics import Reading

WATCH_S = 0.25
QUICK_S = 0.1
LATE_S = 1.5


@dataclass(frozen=True, kw_only=True)
class Drill:
    """How long the broker is frozen and how long it is gone after that."""

    per_s: float = 20.0
    before_s: float = 5.0
    frozen_s: float = 30.0
    gone_s: float = 30.0
    after_s: float = 15.0
    patients: int = 50
    seed: int = 1


class Watch:
    """Asks `/ready` and pings, all the time, and writes down what it is told."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self.said: list[tuple[float, dict[str, object]]] = []
        self.pings: list[tuple[bool, float]] = []

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self.said.append((monotonic(), await self._sender.ready()))
            begun_at = monotonic()
            self.pings.append((await self._sender.ping(), monotonic() - begun_at))
            await asyncio.sleep(WATCH_S)

    def paths(self) -> str:
        """Return what `/ready` said, one word for each change."""
        words = [f"{facts.get('path')}:{facts.get('kafka')}:{facts.get('status')}" for _, facts in self.said]
        return " ".join(word for word, before in zip(words, [None, *words], strict=False) if word != before)


async def outage(kafka: broker.Broker, drill: Drill, folder: Path) -> None:
    """Freeze the broker, kill it, and start it again on its folder and port."""
    assert kafka.pid is not None
    await asyncio.sleep(drill.before_s)
    os.kill(kafka.pid, signal.SIGSTOP)
    await asyncio.sleep(drill.frozen_s)
    os.kill(kafka.pid, signal.SIGKILL)
    await asyncio.sleep(drill.gone_s)
    await broker.start(folder / "broker", port=int(kafka.bootstrap_servers.rsplit(":", 1)[1]))
    await asyncio.sleep(drill.after_s)


async def run(drill: Drill) -> dict[str, object]:
    """Run the drill and return what was done and what was found."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with running(folder) as (kafka, _, posting):
            watch, stop = Watch(posting), asyncio.Event()
            watching = asyncio.create_task(watch.run())
            sending = asyncio.create_task(_steadily(posting, drill, stop))
            begun_at = monotonic()
            await outage(kafka, drill, folder)
            stop.set()
            await sending
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                await posting.until_ready(path="kafka", kafka="ok")
            watching.cancel()
            async with Reading(kafka.bootstrap_servers, "metriport.", PARTITIONS) as reading:
                kept = (await reading.read([topics.WEBHOOKS]))[topics.WEBHOOKS]
    return {
        "answers": {str(status): count for status, count in Counter(a.status for a in posting.answers).items()},
        **_times(posting, watch, begun_at),
        "pings": len(watch.pings),
        "pings_unanswered": sum(not answered for answered, _ in watch.pings),
        "slowest_ping_s": round(max(seconds for _, seconds in watch.pings), 3),
        "ready_said": watch.paths(),
        **webhooks.compare(posting.answers, kept),
    }


async def _steadily(posting: Sender, drill: Drill, stop: asyncio.Event) -> None:
    """Post at a steady rate, whatever the answers do."""
    under_way = set()
    count = int(drill.per_s * (drill.before_s + drill.frozen_s + drill.gone_s + drill.after_s) * 2)
    for post in posts(count, patients=drill.patients, seed=drill.seed):
        under_way.add(asyncio.create_task(posting.post(post)))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1 / drill.per_s)
        if stop.is_set():
            break
    await asyncio.gather(*under_way)


def _times(posting: Sender, watch: Watch, begun_at: float) -> dict[str, object]:
    """Return how long the answers took; what was sent when `/ready` had named the spool counts for itself."""
    first_said = next((at for at, facts in watch.said if facts.get("path") == "spool"), begun_at)
    seconds = [answer.seconds for answer in posting.answers]
    spooled = [answer.seconds for answer in posting.answers if answer.sent_at > first_said]
    return {
        "slowest_answer_s": round(max(seconds), 3),
        "answers_later_than_1500_ms": sum(each > LATE_S for each in seconds),
        "with_the_spool": len(spooled),
        "with_the_spool_within_100_ms": sum(each <= QUICK_S for each in spooled),
        "with_the_spool_median_s": round(statistics.median(spooled or [0.0]), 4),
    }


def sound(report: dict[str, object]) -> bool:
    """Return whether every answer was a 200 in time, and everything is kept, in order."""
    zero = ("answers_later_than_1500_ms", "pings_unanswered", "acknowledged_and_lost", "patients_out_of_order")
    most = 2 * int(str(report["with_the_spool_within_100_ms"])) > int(str(report["with_the_spool"]))
    return set(report["answers"]) == {"200"} and most and not any(report[name] for name in zero)
