"""Strangers at the ingress's port while deliveries go in: `python -m tests.faults.hostile_sockets [--full]`.

Every delivery must be answered 200 in time, whatever the strangers do; they must hear nothing but the contract's
answers; the process must stay what it is, and small.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from cli import broker
from tests.faults import strangers
from tests.faults.ingress_killed import Ingress
from tests.faults.posts import posts
from tests.faults.sender import sender

# The process itself, its connections and their heads; and for bodies INFLIGHT_BYTES_MAX, and one of them twice.
RSS_MB_MAX = 400
BODIES_MB_MAX = 512 + 32
P99_S_MAX = 1.0
ALLOWED = {"100", "200", "400", "401", "404", "405", "408", "413", "415", "431", "503"}


@dataclass(frozen=True, kw_only=True)
class Drill:
    """How many strangers, how long, and which; how many deliveries go in beside them."""

    seconds: float = 60.0
    scale: float = 1.0
    names: tuple[str, ...] = ()
    per_s: float = 20.0
    connections_max: int = 1000
    kafka: bool = True
    timeout_s: float = 5.0  # Metriport's own
    seed: int = 1


FULL = Drill()
# Without a Kafka, which the spool stands in for: what is looked at is in front of both.
SLICE = Drill(seconds=5, scale=0.1, connections_max=100, kafka=False, timeout_s=30)
HEADS = Drill(seconds=30, names=("unfinished_heads",), per_s=10)
LARGE = Drill(seconds=30, names=("large_bodies",), per_s=10)


class Watch:
    """How large the process was, at most, how many descriptors it had, and what it cost."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.rss_mb = 0.0
        self.descriptors = 0
        self.cpu_s = 0.0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._look()
            await asyncio.sleep(0.1)

    def _look(self) -> None:
        process = Path(f"/proc/{self._pid}")
        with contextlib.suppress(OSError):
            times = (process / "stat").read_text().rsplit(") ", 1)[1].split()[11:13]
            self.cpu_s = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
            pages = int((process / "statm").read_text().split()[1])
            self.rss_mb = max(self.rss_mb, pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
            self.descriptors = max(self.descriptors, sum(1 for _ in (process / "fd").iterdir()))


@contextlib.asynccontextmanager
async def ingress(drill: Drill, folder: Path) -> AsyncIterator[Ingress]:
    """Run an ingress, with a Kafka or without."""
    async with contextlib.AsyncExitStack() as stack:
        servers = "127.0.0.1:9"
        if drill.kafka:
            servers = (await stack.enter_async_context(broker.running(folder / "broker"))).bootstrap_servers
        running = Ingress(servers, folder)
        running.environment["CONNECTIONS_MAX"] = str(drill.connections_max)
        if drill.kafka:
            await running.make_topics()
        await running.start()
        stack.push_async_callback(running.kill)
        yield running


async def run(drill: Drill) -> dict[str, object]:
    """Run the drill and return what was done and what was found."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with ingress(drill, folder) as running, sender(running.url, timeout_s=drill.timeout_s) as posting:
            await posting.until_ready(path="kafka" if drill.kafka else "spool")
            assert running.process is not None
            watch = Watch(running.process.pid)
            watching = asyncio.create_task(watch.run())
            crowd = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.faults.strangers", running.url.rsplit(":", 1)[1]),
                *(str(drill.seconds), str(drill.scale), str(drill.seed), *drill.names),
                stdout=asyncio.subprocess.PIPE,
            )
            hearing = asyncio.create_task(crowd.communicate())
            under_way = []
            begun_at = monotonic()
            for number, post in enumerate(posts(int(drill.seconds * drill.per_s), patients=50, seed=drill.seed)):
                under_way.append(asyncio.create_task(posting.post(post)))
                await asyncio.sleep(max(0.0, begun_at + (number + 1) / drill.per_s - monotonic()))
            await asyncio.gather(*under_way)
            told, _ = await hearing
            watching.cancel()
            alive = running.process.returncode is None
            running.process.send_signal(signal.SIGTERM)
            code = await running.process.wait()
            log = running.log.read_bytes()
    seconds = sorted(answer.seconds for answer in posting.answers)
    return {
        "bodies": drill.names != HEADS.names,
        "deliveries": {str(status): count for status, count in Counter(a.status for a in posting.answers).items()},
        "p50_s": round(statistics.median(seconds), 4),
        "p99_s": round(seconds[int(len(seconds) * 0.99)], 4),
        "slowest_s": round(seconds[-1], 4),
        "rss_mb": round(watch.rss_mb),
        "descriptors": watch.descriptors,
        "cpu_s": watch.cpu_s,
        "ended_by_itself": not alive,
        "exit_code": code,
        "tracebacks": log.count(b"Traceback") + log.count(b'"event": "fatal"'),
        "quoted_in_log": log.count(strangers.MARK),
        "log_kb": len(log) // 1000,
        **json.loads(told),
    }


def sound(report: dict[str, object]) -> bool:
    """Return whether every delivery was answered 200, and nothing was said or kept that may not be."""
    statuses = report["statuses"]
    assert isinstance(statuses, dict)
    zero = (
        "ended_by_itself",
        "exit_code",
        "tracebacks",
        "quoted_in_log",
        *("not_ours", "quotes", "versions", "other_5xx"),
    )
    return (
        report["deliveries"].keys() == {"200"}
        and int(str(report["rss_mb"])) < RSS_MB_MAX + (BODIES_MB_MAX if report["bodies"] else 0)
        and statuses.keys() <= ALLOWED
        and not any(report[name] for name in zero)
    )


async def main(arguments: list[str]) -> int:
    """Run the drills that are asked for; 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all of them for a minute, and two crowds by themselves")
    parser.add_argument("--only", nargs="*", choices=strangers.CROWDS, help="only these, as many as in the full drill")
    options = parser.parse_args(arguments)
    drills = {"heads": HEADS, "large bodies": LARGE, "all": FULL} if options.full else {"slice": SLICE}
    if options.only:
        drills = {" ".join(options.only): Drill(seconds=20, names=tuple(options.only), kafka=False)}
    found = {name: await run(drill) for name, drill in drills.items()}
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    late = [name for name, report in found.items() if options.full and float(str(report["p99_s"])) > P99_S_MAX]
    return 0 if all(sound(report) for report in found.values()) and not late else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
