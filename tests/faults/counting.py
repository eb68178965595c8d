"""A stage to be hurt: drops repeats by id, sends each record on by kind, counts per patient. One process of it."""

import asyncio
import os
import random
import sys
from pathlib import Path

import orjson
import uvloop

from models.errors import Poison
from streams.engine.app import create, run
from streams.engine.job import BatchedJob, Output
from streams.engine.kafka.sender import KafkaSender
from streams.engine.settings import EngineSettings

KINDS = 3


class Counting(BatchedJob):
    """Value: {"id", "patient", "kind"}; state: b"m" + id and b"p" + patient -> b"<count> <last id>"."""

    def __init__(self, prefix: str) -> None:
        self.outputs = tuple(f"{prefix}out-{kind}" for kind in range(KINDS))
        self.quarantine = f"{prefix}quarantine"

    def decode(self, record):
        try:
            body = orjson.loads(record.value)
        except ValueError:
            raise Poison("not_json") from None
        return body["id"].encode(), body["patient"].encode(), body["kind"], record

    def keys(self, item):
        return b"m" + item[0], b"p" + item[1]

    def apply(self, item, state):
        message_id, patient, kind, record = item
        if state.get(b"m" + message_id) is not None:
            return []
        count = int((state.get(b"p" + patient) or b"0").split(b" ")[0])
        state.put(b"m" + message_id, b"1")
        state.put(b"p" + patient, b"%d %s" % (count + 1, message_id))
        return [Output(self.outputs[kind], record.key, record.value, [("copy", b"0")])] * (1 + kind % 2)


def settings(prefix: str, servers: str, folder: Path, **changed) -> EngineSettings:
    """Return settings that notice a dead worker within seconds."""
    return EngineSettings(
        **{
            "stage": "counting",
            "app_id": f"{prefix}counting",
            "bootstrap_servers": servers,
            "sources": (f"{prefix}in",),
            "partitions": 4,
            "state_dir": folder,
            "session_timeout_s": 6.0,
            "heartbeat_interval_s": 1.0,
            "rebalance_timeout_s": 30.0,
            "request_timeout_s": 30.0,
            "send_timeout_s": 60.0,
            **changed,
        }
    )


def widen(slow_s: float) -> None:
    """Make every window longer in which a kill can fall: before the sends, between them, after them."""
    send, submit = KafkaSender.send, KafkaSender._submit

    async def slow_send(self, *args, **kwargs):
        await asyncio.sleep(random.random() * slow_s)
        reached = await send(self, *args, **kwargs)
        await asyncio.sleep(random.random() * slow_s)
        return reached

    async def slow_submit(self, *args):
        await asyncio.sleep(random.random() * slow_s / 4)
        return await submit(self, *args)

    KafkaSender.send, KafkaSender._submit = slow_send, slow_submit


def main() -> None:
    """Run one worker: counting.py PREFIX SERVERS FOLDER PARTITIONS BATCH SLOW_S."""
    prefix, servers, folder, partitions, batch, slow_s = sys.argv[1:7]
    if float(slow_s):
        widen(float(slow_s))
    uvloop.install()
    sources = tuple(f"{prefix}{name}" for name in os.environ.get("SOURCES", "in").split(","))
    run(
        create(
            Counting(prefix),
            settings(
                prefix, servers, Path(folder), partitions=int(partitions), batch_records_max=int(batch), sources=sources
            ),
        )
    )


if __name__ == "__main__":
    main()
