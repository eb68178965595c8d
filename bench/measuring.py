"""Watching programs from outside, all in the same way: what they have written, and the CPU it took them."""

import asyncio
import contextlib
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.webhooks import PARTITIONS

ROOT = Path(__file__).parents[1]
POLL_S = 0.02
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Speed:
    """What one program did."""

    per_s: float
    cpu_us: float


class Output:
    """How many records some topics hold."""

    def __init__(self, consumer: AIOKafkaConsumer, names: Iterable[str]) -> None:
        self._consumer = consumer
        self._tps = [TopicPartition(name, number) for name in names for number in range(PARTITIONS)]

    async def count(self) -> int:
        """Return it."""
        return sum((await self._consumer.end_offsets(self._tps)).values())


@contextlib.asynccontextmanager
async def output(servers: str, names: Iterable[str]) -> AsyncIterator[Output]:
    """Open a view of these topics."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    await consumer.start()
    try:
        yield Output(consumer, names)
    finally:
        await consumer.stop()


@contextlib.asynccontextmanager
async def program(name: str, *arguments: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run one of the programs and end it."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"bench.programs.{name}", *arguments, cwd=ROOT, stdout=out, stderr=out
        )
    try:
        yield process
    except RuntimeError:
        sys.stderr.write((await asyncio.to_thread(log.read_text))[-2000:])
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def speed(
    process: asyncio.subprocess.Process, written: Output, *, records: int, share: float, window_s: float
) -> Speed:
    """Measure until all `records` are worked off, or for `window_s`; each becomes `share` of an output on average.

    The first twentieth does not count: a program that has just started is not at its speed.
    """
    total = records * share
    begun: tuple[float, int, float] | None = None
    while True:
        if process.returncode is not None:
            raise RuntimeError("the program ended; its log says why")
        now = time.monotonic(), await written.count(), cpu_s(process.pid)
        if begun is None and now[1] >= total / 20:
            begun = now
        if begun is not None and (now[1] >= total * 0.999 or now[0] - begun[0] > window_s):
            break
        await asyncio.sleep(POLL_S)
    done = (now[1] - begun[1]) / share
    return Speed(done / (now[0] - begun[0]), (now[2] - begun[2]) / done * 1e6)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def ratio(what: str, ratios: list[float], goal: str) -> str:
    """Return a line with a ratio, its spread over the rounds, and the goal."""
    return f"{what:<62}{statistics.median(ratios):8.2f}   ({min(ratios):.2f} to {max(ratios):.2f}; goal {goal})"
