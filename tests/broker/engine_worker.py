"""One worker process of a small stage, for the tests that need a real Kafka: engine_worker.py JOB SETTINGS_AS_JSON."""

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

from models.errors import Poison
from streams.engine.app import create, run
from streams.engine.job import BatchedJob, Output, Step, StepwiseJob
from streams.engine.settings import EngineSettings


class Topics:
    """One topic for outputs, one for quarantine."""

    def __init__(self, prefix: str) -> None:
        self.outputs = (f"{prefix}out",)
        self.quarantine = f"{prefix}quarantine"


class Copy(Topics, BatchedJob):
    """Sends each value on, and keeps the last one per key."""

    def decode(self, record):
        return record

    def keys(self, record):
        return (record.key,)

    def apply(self, record, state):
        state.put(record.key, record.value)
        return [Output(self.outputs[0], record.key, record.value)]


class Walk(Topics, StepwiseJob):
    """Value: how many steps; each takes a twentieth of a second."""

    async def process(self, record, reading):
        for step in range(int(record.value)):
            await asyncio.sleep(0.05)
            before = reading.get([record.key])[0]
            assert (before or b"").count(b",") <= step
            text = b"%d.%d" % (record.offset, step)
            yield Step([Output(self.outputs[0], record.key, text)], {record.key: text})


class Die(Copy):
    """Ends its process in the way the value says."""

    def apply(self, record, state):
        if record.value == b"crash":
            ctypes.string_at(0)
        if record.value == b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if record.value == b"block":
            time.sleep(3600)
        return super().apply(record, state)


class Thirds(Copy):
    """A build that breaks on every third record; `odd` is the sender's mistake."""

    def apply(self, record, state):
        if record.value == b"odd":
            raise Poison("not_json")
        if int(record.value) % 3 == 0:
            raise KeyError("nobody foresaw this")
        return super().apply(record, state)


class Hang(Topics, StepwiseJob):
    """Never comes to an end, and does not let the event loop turn when told to block."""

    async def process(self, record, _reading):
        if record.value == b"fine":
            yield Step([Output(self.outputs[0], record.key, record.value)])
            return
        if record.value == b"block":
            time.sleep(3600)  # noqa: ASYNC251 - that is the fault
        await asyncio.sleep(3600)
        yield Step()


class Fetch(Copy):
    """Lists each record as work in the state; fetchers finish it in no order."""

    def bound(self, engine):
        self.engine = engine
        self.fetchers = set()

    def keys(self, _record):
        return ()

    def apply(self, record, state):
        work = json.dumps([record.topic, record.partition, record.offset, record.value.decode()])
        state.put(b"work/%d" % record.offset, work.encode())
        return []

    async def assigned(self, partitions):
        for partition in partitions:
            for key, value in self.engine.scan(partition, b"work/"):
                self.fetch(partition, key, value)

    async def revoked(self):
        for fetcher in self.fetchers:
            fetcher.cancel()

    def written(self, partition, changes):
        for key, value in changes.items():
            if key.startswith(b"work/"):
                self.fetch(partition, key, value)

    def fetch(self, partition, key, work):
        fetcher = asyncio.ensure_future(self._fetch(partition, key, work))
        self.fetchers.add(fetcher)
        fetcher.add_done_callback(self.fetchers.discard)

    async def _fetch(self, partition, key, work):
        topic, partition, offset, value = json.loads(work)
        await asyncio.sleep(hash((offset, value)) % 40 / 40)
        headers = [("ce_id", b"e%d/%d" % (partition, offset)), ("x-source", f"{topic}/{partition}/{offset}/0".encode())]
        await asyncio.shield(
            self.engine.complete(partition, [Output(self.outputs[0], b"k", value.encode(), headers)], {key: None})
        )


class List(Fetch):
    """Lists, and never fetches."""

    def fetch(self, partition, key, work):
        pass


def main() -> None:
    job, given = sys.argv[1], json.loads(sys.argv[2])
    prefix = given.pop("prefix")
    given |= {"sources": tuple(prefix + name for name in given.pop("sources", ["in"]))}
    settings = EngineSettings(
        **{
            "stage": "small",
            "app_id": f"{prefix}small",
            "session_timeout_s": 6.0,
            "heartbeat_interval_s": 1.0,
            "rebalance_timeout_s": 30.0,
            **given,
            "state_dir": Path(given["state_dir"]),
        }
    )
    jobs = {"copy": Copy, "walk": Walk, "fetch": Fetch, "list": List, "hang": Hang, "die": Die, "thirds": Thirds}
    run(create(jobs[job](prefix), settings))


if __name__ == "__main__":
    main()
