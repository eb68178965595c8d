"""Hurt the engine on a real Kafka and compare what it wrote with a fold of the input that knows nothing of it.

`python -m tests.faults.engine --full` runs all of it (a few minutes); the slice in the test suite takes a minute.
"""

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from cli import broker
from tests.faults.counting import KINDS

ROOT = Path(__file__).parents[2]
PATIENTS = 300


@dataclass(frozen=True, kw_only=True)
class Drill:
    """How much is sent, and what is done to the workers meanwhile."""

    records: int = 5_000
    partitions: int = 4
    batch: int = 50
    slow_s: float = 0.1
    kills: int = 4
    wipe_share: float = 0.3
    joins: int = 1
    freezes: int = 0
    pause_s: tuple[float, float] = (2.0, 5.0)
    timeout_s: float = 80.0
    seed: int = 1


SLICE = Drill()
FULL = Drill(records=60_000, partitions=12, batch=60, slow_s=0.3, kills=20, joins=4, timeout_s=600.0)
FROZEN = Drill(records=60_000, partitions=12, batch=40, slow_s=0.5, kills=0, joins=0, freezes=5, timeout_s=600.0)


@dataclass
class Expected:
    """What must come out of each partition, in order, and what the state must be."""

    outputs: dict[tuple[str, int], list[bytes]] = field(default_factory=lambda: defaultdict(list))
    state: dict[bytes, bytes] = field(default_factory=dict)

    def take(self, prefix: str, partition: int, value: bytes) -> None:
        """Fold one input record."""
        if value.startswith(b"poison"):
            self.outputs[f"{prefix}quarantine", partition].append(value)
            return
        body = json.loads(value)
        if b"m" + body["id"].encode() in self.state:
            return
        self.state[b"m" + body["id"].encode()] = b"1"
        key = b"p" + body["patient"].encode()
        count = int(self.state.get(key, b"0").split(b" ")[0]) + 1
        self.state[key] = b"%d %s" % (count, body["id"].encode())
        self.outputs[f"{prefix}out-{body['kind']}", partition] += [value] * (1 + body["kind"] % 2)


def inputs(drill: Drill, chance: random.Random) -> list[tuple[int, bytes]]:
    """Return partition and value of every input record: 2 % poison, 10 % repeats of something up to 3000 back."""
    made: list[tuple[int, bytes]] = []
    for number in range(drill.records):
        lot = chance.random()
        if lot < 0.02:
            made.append((chance.randrange(drill.partitions), b"poison %d" % number))
        elif lot < 0.12 and made:
            made.append(chance.choice(made[-3000:]))
        else:
            patient = chance.randrange(PATIENTS)
            body = {"id": f"m{number}", "patient": f"{patient}", "kind": chance.randrange(KINDS)}
            made.append((patient % drill.partitions, json.dumps(body).encode()))
    return made


async def prepare(servers: str, prefix: str, drill: Drill, sent: list[tuple[int, bytes]]) -> Expected:
    """Create the topics, send the input, and return what it must become."""
    names = ["in", "quarantine", *(f"out-{kind}" for kind in range(KINDS))]
    topics = [NewTopic(prefix + name, drill.partitions, 1) for name in names]
    compact = {"cleanup.policy": "compact"}
    topics.append(NewTopic(f"{prefix}counting-state-changelog", drill.partitions, 1, topic_configs=compact))
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics(topics)
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=servers, linger_ms=5, enable_idempotence=True)
    await producer.start()
    expected = Expected()
    # One send per partition waits for the next: repeats may otherwise overtake on a retry.
    for partition, value in sent:
        await producer.send(f"{prefix}in", value, key=b"k", partition=partition)
        expected.take(prefix, partition, value)
    await producer.stop()
    return expected


class Workers:
    """The processes of the stage, each with its own state folder."""

    def __init__(self, servers: str, prefix: str, drill: Drill, folder: Path) -> None:
        self._arguments = (prefix, servers)
        self._drill = drill
        self._folder = folder
        self._log = (folder / "workers.log").open("ab")
        self.running: dict[str, asyncio.subprocess.Process] = {}
        self.exits: list[int] = []

    async def start(self, name: str) -> None:
        """Start a worker on its folder."""
        drill = self._drill
        command = (sys.executable, "-m", "tests.faults.counting", *self._arguments, str(self._folder / name))
        numbers = (str(drill.partitions), str(drill.batch), str(drill.slow_s))
        self.running[name] = await asyncio.create_subprocess_exec(
            *command, *numbers, cwd=ROOT, stdout=self._log, stderr=self._log
        )

    async def end(self, name: str, number: signal.Signals, *, wiped: bool = False) -> None:
        """Signal a worker, wait for its end, and take its folder away if asked."""
        process = self.running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        self.exits.append(await process.wait())
        if wiped:
            shutil.rmtree(self._folder / name, ignore_errors=True)

    async def revive(self) -> None:
        """Start again what ended by itself, as a supervisor would."""
        for name, process in list(self.running.items()):
            if process.returncode is not None:
                self.exits.append(process.returncode)
                await self.start(name)

    async def freeze(self, name: str, seconds: float) -> None:
        """Stop a worker for longer than its session, then let it wake up."""
        process = self.running[name]
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    async def close(self) -> None:
        """End all of them for good."""
        for name in list(self.running):
            await self.end(name, signal.SIGKILL)
        self._log.close()


async def hurt(workers: Workers, drill: Drill, chance: random.Random) -> None:
    """Do everything the drill asks for, in a random order, with pauses."""
    acts = ["kill"] * drill.kills + ["join"] * drill.joins + ["freeze"] * drill.freezes
    chance.shuffle(acts)
    await asyncio.sleep(5)
    for act in acts:
        await workers.revive()
        name = chance.choice(["one", "two"])
        if act == "kill":
            await workers.end(name, signal.SIGKILL, wiped=chance.random() < drill.wipe_share)
            await workers.start(name)
        elif act == "freeze":
            await workers.freeze(name, 20)
        elif "three" in workers.running:
            await workers.end("three", signal.SIGTERM)
        else:
            await workers.start("three")
        await asyncio.sleep(chance.uniform(*drill.pause_s))


async def share_done(consumer: AIOKafkaConsumer, sources: list[TopicPartition]) -> float:
    """Return which share of the input is committed."""
    ends = await consumer.end_offsets(sources)
    committed = [await consumer.committed(tp) or 0 for tp in ends]
    return sum(committed) / sum(ends.values())


async def read_all(servers: str, tps: list[TopicPartition]) -> AsyncIterator[tuple[TopicPartition, list]]:
    """Yield everything these partitions hold."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    consumer.assign(tps)
    ends = await consumer.end_offsets(tps)
    waiting = {tp for tp in tps if ends[tp]}
    while waiting:
        for tp, records in (await consumer.getmany(*waiting, timeout_ms=500)).items():
            yield tp, records
        waiting = {tp for tp in waiting if await consumer.position(tp) < ends[tp]}
    await consumer.stop()


async def compare(servers: str, prefix: str, drill: Drill, expected: Expected) -> dict[str, int]:
    """Return how many records are lost, repeated or out of order, and how many states are wrong."""
    written: dict[tuple[str, int], list[bytes]] = defaultdict(list)
    state: dict[bytes, bytes] = {}
    names = [f"{prefix}quarantine", *(f"{prefix}out-{kind}" for kind in range(KINDS))]
    changelog = f"{prefix}counting-state-changelog"
    tps = [TopicPartition(name, partition) for name in (*names, changelog) for partition in range(drill.partitions)]
    async for tp, records in read_all(servers, tps):
        for record in records:
            if tp.topic != changelog:
                written[tp.topic, tp.partition].append(record.value)
            elif not record.key.startswith(b"\0"):
                state[record.key] = record.value
    found = {"lost": 0, "repeated": 0, "partitions_out_of_order": 0}
    for partition, values in expected.outputs.items():
        surplus = len(written[partition]) - len(values)
        found["lost"] += max(-surplus, 0) + len(set(values) - set(written[partition]))
        found["repeated"] += max(surplus, 0)
        found["partitions_out_of_order"] += not surplus and written[partition] != values
    wrong = [key for key in state.keys() | expected.state.keys() if state.get(key) != expected.state.get(key)]
    return {**found, "states_wrong": len(wrong), "states": len(state)}


async def run(servers: str, drill: Drill) -> dict[str, object]:
    """Run one drill and return what was found."""
    chance = random.Random(drill.seed)
    prefix = f"f{uuid.uuid4().hex[:8]}."
    folder = Path(tempfile.mkdtemp(prefix="drill-"))
    expected = await prepare(servers, prefix, drill, inputs(drill, chance))
    workers = Workers(servers, prefix, drill, folder)
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, group_id=f"{prefix}counting", enable_auto_commit=False)
    await consumer.start()
    begun_at, finished = time.monotonic(), False
    try:
        await workers.start("one")
        await workers.start("two")
        await hurt(workers, drill, chance)
        hurt_s = time.monotonic() - begun_at
        sources = [TopicPartition(f"{prefix}in", partition) for partition in range(drill.partitions)]
        hurt_share = round(await share_done(consumer, sources), 2)
        while not (finished := await share_done(consumer, sources) == 1) and (
            time.monotonic() - begun_at < drill.timeout_s
        ):
            await workers.revive()
            await asyncio.sleep(0.5)
    finally:
        await workers.close()
        await consumer.stop()
    found = await compare(servers, prefix, drill, expected)
    took = {"done_when_unhurt": hurt_share, "hurt_s": round(hurt_s), "seconds": round(time.monotonic() - begun_at)}
    if not any(found[name] for name in ("lost", "repeated", "partitions_out_of_order", "states_wrong")):
        shutil.rmtree(folder)
    return {"finished": finished, **found, **took, "exits": sorted(workers.exits), "log": str(folder / "workers.log")}


def sound(found: dict[str, object]) -> bool:
    """Return whether nothing was lost, repeated, out of order or wrong."""
    wrong = ("lost", "repeated", "partitions_out_of_order", "states_wrong")
    return bool(found["finished"]) and not any(found[name] for name in wrong)


async def main(arguments: list[str]) -> int:
    """Run the slice, or all drills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="kills, joins and freezes, for minutes")
    parser.add_argument("--servers", help="a Kafka to use; one is started when left out")
    options = parser.parse_args(arguments)
    drills = {"kills": FULL, "freezes": FROZEN} if options.full else {"slice": SLICE}
    async with contextlib.AsyncExitStack() as stack:
        servers = options.servers
        if servers is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            servers = (await stack.enter_async_context(broker.running(folder))).bootstrap_servers
        all_found = {name: await run(servers, drill) for name, drill in drills.items()}
    sys.stdout.write(json.dumps(all_found, indent=2) + "\n")
    return 0 if all(map(sound, all_found.values())) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
