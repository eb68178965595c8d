"""A Kafka and a local state in memory, which remember what they were given and can crash between any two effects."""

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from streams.engine.fingerprints import fingerprint
from streams.engine.job import Output
from streams.engine.ports import Span
from streams.engine.settings import EngineSettings
from streams.engine.work.engine import Engine
from streams.engine.work.positions import Batch, size
from tests.unit import contract

STAGE = "test"


class Crash(OSError):
    """The process ended here. An error of the system's: nothing on its way may take it for the work's own doing."""


class Record(NamedTuple):
    offset: int
    value: bytes | None = b"{}"
    key: bytes | None = b"k"
    topic: str = "in"
    partition: int = 0
    timestamp: int = 1_700_000_000_000
    headers: tuple = ()


class MemoryKafka:
    """The logs, and the sender of one process at a time."""

    def __init__(self, *, batch_bytes_max: int = 900_000) -> None:
        self.logs: dict[tuple[str, int], list[Output]] = defaultdict(list)
        self.inputs: dict[tuple[str, int], dict[int, Record]] = defaultdict(dict)
        self.partition_counts: dict[str, int] = {}
        self.effects_left: int | None = None
        self.expected: dict[tuple[str, int], int] = {}
        self.batch_bytes_max = batch_bytes_max
        self.gate: asyncio.Event | None = None
        self.first: dict[tuple[str, int], int] = {}
        self.group: dict[tuple[str, int], int] = {}

    def expect(self, ends):
        self.expected = dict(ends)

    def fits(self, outputs):
        return sum(len(row.key or b"") + len(row.value or b"") for row in outputs) <= self.batch_bytes_max

    async def send(self, partition, outputs, *, whole=False):  # noqa: ARG002 - a fake log takes any batch whole
        for topic, rows in outputs.items():
            if self.gate:
                await self.gate.wait()
            await asyncio.sleep(0)
            self.spend()
            for row in rows:
                contract.hold(topic, row)
            log = self.logs[topic, partition]
            assert self.expected.get((topic, partition), len(log)) == len(log)
            log += rows
            self.expected[topic, partition] = len(log)
        return len(log) - 1

    def end(self, topic, partition):
        return len(self.logs[topic, partition])

    async def spans(self, partitions):
        return {partition: Span(self.first.get(partition, 0), len(self.logs[partition])) for partition in partitions}

    async def committed(self, partitions):
        return {partition: self.group[partition] for partition in partitions if partition in self.group}

    async def at(self, places):
        found = {}
        for partition, offsets in places.items():
            for offset in offsets:
                if self.first.get(partition, 0) <= offset and offset in self.inputs[partition]:
                    found[partition, offset] = fingerprint(self.inputs[partition][offset])
        return found

    async def counts(self, topics):
        return {topic: self.partition_counts.get(topic, 1000) for topic in topics}

    async def ends(self, partitions):
        return {partition: len(self.logs[partition]) for partition in partitions}

    async def last(self, ends, count):
        for partition, end in ends.items():
            for offset in range(max(0, end - count), end):
                row = self.logs[partition][offset]
                yield partition, Record(offset, row.value, row.key, *partition, headers=row.headers)

    async def records(self, ranges):
        for partition, (start, end) in ranges.items():
            for offset in range(start, end):
                yield partition, [self.inputs[partition][offset]]

    def spend(self):
        if self.effects_left is not None:
            if self.effects_left == 0:
                raise Crash
            self.effects_left -= 1

    def values(self, topic, partition=0):
        return [row.value for row in self.logs[topic, partition]]


class MemoryState:
    """One process's copy of the state."""

    def __init__(self, kafka: MemoryKafka) -> None:
        self.kafka = kafka
        self.copies: dict[int, dict[bytes, bytes]] = defaultdict(dict)
        self.offsets: dict[int, int] = {}

    def get_many(self, partition, keys):
        return [self.copies[partition].get(key) for key in keys]

    def put_many(self, partition, changes, offset):
        self.kafka.spend()
        for key, value in changes:
            if value is None:
                self.copies[partition].pop(key, None)
            else:
                self.copies[partition][key] = value
        self.offsets[partition] = offset

    def scan(self, partition, prefix):
        yield from sorted((k, v) for k, v in self.copies[partition].items() if k.startswith(prefix))

    def reaches(self, partition):
        return self.offsets.get(partition)

    def restore(self, changelog, partition=0):
        start = self.offsets.get(partition, -1) + 1
        rows = self.kafka.logs[changelog, partition]
        if rows[start:]:
            self.put_many(partition, [(row.key, row.value) for row in rows[start:]], len(rows) - 1)


def settings(**changed) -> EngineSettings:
    return EngineSettings(
        **{
            "stage": STAGE,
            "app_id": "test",
            "bootstrap_servers": "nowhere:1",
            "sources": ("in",),
            "partitions": 1,
            "state_dir": Path("unused"),
            "record_bytes_max": 100_000,
            **changed,
        }
    )


class Process:
    """One life of a worker: restores, then processes; `ended` holds what ended it."""

    def __init__(self, job, kafka: MemoryKafka, state: MemoryState | None = None, *, work_file=None, **changed) -> None:
        self.settings = settings(**changed)
        self.kafka = kafka
        self.state = state or MemoryState(kafka)
        self.ended = []
        self.engine = Engine(
            job, sender=kafka, state=self.state, logs=kafka, settings=self.settings, end=self._end, work_file=work_file
        )
        job.bound(self.engine)

    async def begin(self, *partitions: int) -> None:
        for partition in partitions or (0,):
            self.state.restore(self.settings.changelog, partition)
        await self.engine.assigned(frozenset(partitions or (0,)))

    def feed(self, records, done=lambda: None) -> Batch:
        source = self.kafka.logs[records[0].topic, records[0].partition]
        self.kafka.inputs[records[0].topic, records[0].partition] |= {record.offset: record for record in records}
        source += [Output(records[0].topic, None, None)] * (records[-1].offset + 1 - len(source))
        batch = Batch(records, records[0].offset, records[-1].offset + 1, 1, size(records), 0.0)
        self.engine.feed(records[0].partition, batch, done)
        return batch

    async def idle(self) -> None:
        await asyncio.gather(*self.engine._turns, return_exceptions=True)

    def _end(self, why):
        self.ended.append(why)
        raise Crash
