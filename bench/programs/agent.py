"""The stage as Faust's documentation would have you write it: a Record, a table of what was seen, and `topic.send`.

`agent.py SERVERS SOURCE PREFIX FOLDER`
"""

import sys
from typing import Any

import faust
import uvloop

from bench.webhooks import PARTITIONS
from models import topics


class Delivery(faust.Record, serializer="json"):
    """A webhook's body."""

    meta: dict[str, Any]
    patients: list[dict[str, Any]] | None = None
    payload: dict[str, Any] | None = None


def agent_app(servers: str, source: str, prefix: str, folder: str) -> faust.App:
    """Return the app."""
    app = faust.App(
        f"{prefix}agent",
        broker=f"kafka://{servers}",
        store="rocksdb://",
        datadir=folder,
        topic_partitions=PARTITIONS,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
    )
    seen = app.Table("seen", partitions=PARTITIONS, default=bool, options={"driver": "rocksdict"})
    webhooks = app.topic(source, key_type=bytes, value_type=Delivery)
    targets = {name: app.topic(prefix + name, key_type=bytes) for name in topics.PER_PATIENT_TYPES}

    @app.agent(webhooks)
    async def deliveries(stream: faust.Stream) -> None:
        async for event in stream.events():
            delivery = event.value
            message_id = delivery.meta["messageId"]
            if seen[message_id]:
                continue
            for entry in delivery.patients or [delivery.payload]:
                record = {**entry, "messageId": message_id, "type": delivery.meta["type"], "metadata": None}
                await targets[delivery.meta["type"]].send(key=event.key, value=record)
            seen[message_id] = True

    return app


if __name__ == "__main__":
    uvloop.install()
    app = agent_app(*sys.argv[1:5])
    sys.argv = sys.argv[:1]
    faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()
