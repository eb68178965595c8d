"""The same stage as Faust's documentation would have you write it: an agent, a table, and `topic.send`."""

# ruff: noqa: ANN001, ANN003, ANN201, ANN204 - as in Faust's documentation

import sys
import time

import faust

from streams.deliveries.job import DeliveriesJob

_, SERVERS, PREFIX, PARTITIONS, FOLDER, SOURCE = sys.argv
job = DeliveriesJob(PREFIX)
app = faust.App(
    f"{PREFIX}agent",
    broker=f"kafka://{SERVERS}",
    store="rocksdb://",
    datadir=FOLDER,
    topic_partitions=int(PARTITIONS),
    topic_allow_declare=False,
    topic_disable_leader=True,
    key_serializer="raw",
    value_serializer="raw",
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
)
seen = app.Table("seen", partitions=int(PARTITIONS), key_type=bytes, value_type=bytes)
source = app.topic(SOURCE, key_type=bytes, value_type=bytes, value_serializer="raw")
targets = {name: app.topic(name, key_type=bytes, value_type=bytes, value_serializer="raw") for name in job.outputs}
moments = {}


@app.on_partitions_assigned.connect
async def assigned(_app, _partitions, **_):
    moments.setdefault("assigned", time.monotonic())


@app.on_rebalance_complete.connect
async def complete(_app, **_):
    seconds = time.monotonic() - moments["assigned"]
    sys.stderr.write(f"state_restored seconds={seconds:.3f}\n")


@app.agent(source)
async def deliveries(stream):
    async for event in stream.events():
        delivery = job.decode(_Record(event))
        if delivery.mark in seen:
            continue
        seen[delivery.mark] = b"1"
        output = delivery.output
        await targets[output.topic].send(key=output.key, value=output.value, headers=dict(output.headers))


class _Record:
    def __init__(self, event):
        message = event.message
        self.value, self.key, self.headers = event.value, event.key, list((message.headers or {}).items())


if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()
