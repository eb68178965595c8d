"""The deliveries stage in memory: the real job on the real engine; deliveries made from what is known."""

import asyncio
import json
import random

from models import known, messages, samples
from streams.deliveries.drift import Bounds
from streams.deliveries.job import DeliveriesJob
from tests.unit.engine.fakes import Crash, MemoryKafka, MemoryState, Process, Record

SOURCE = "metriport.webhooks"
KNOWN = [name for name in samples.names() if samples.load(name)["meta"]["type"] in messages.TYPES]


class Stage:
    """Delivers bodies, or objects, one record each."""

    def __init__(self, bounds=None, **changed):
        self.kafka = MemoryKafka()
        self.state = MemoryState(self.kafka)
        self._bounds = bounds or Bounds()
        self._changed = changed
        self._next = 0

    def deliver(self, *deliveries, index=None, effects_left=None):
        """Process them as one batch in a worker just started; return the records of `drift` that this wrote."""
        bodies = [each if isinstance(each, bytes) else samples.encode(each) for each in deliveries]
        headers = [("x-received-at", b"2026-02-01T10:00:00.000Z")]
        if index is not None:
            headers.append(("x-patient-index", b"%d" % index))
        records = [
            Record(self._next + number, body, b"k", SOURCE, headers=tuple(headers))
            for number, body in enumerate(bodies)
        ]
        before = len(self.drift)
        self.kafka.effects_left = effects_left
        while not asyncio.run(self._process(records)):
            self.kafka.effects_left = None
        self._next += len(records)
        return self.drift[before:]

    @property
    def drift(self):
        return [json.loads(value) for value in self.kafka.values("metriport.drift")]

    def told(self):
        """What is told, as type, kind and path, in order."""
        return [(one["type"], one["kind"], one["path"]) for one in self.drift]

    def values(self, topic):
        return self.kafka.values(f"metriport.{topic}")

    async def _process(self, records):
        job = DeliveriesJob("metriport.", bounds=self._bounds)
        process = Process(job, self.kafka, self.state, sources=(SOURCE,), stage="deliveries", **self._changed)
        try:
            await process.begin()
        except Crash:
            return False
        process.feed(records)
        await process.idle()
        assert {type(error) for error in process.ended} <= {Crash}, process.ended
        return not process.ended


def made(kind, rng):
    """Return a delivery of a type as all that is known of it allows, its optional fields there or not."""
    message = known.message(kind)
    meta = _value(message.meta, rng) | {"type": kind.name}
    entry = _value(message.entry, rng)
    return {"meta": meta, message.part: [entry] if message.part == "patients" else entry}


def _value(shape, rng):
    kinds = sorted(shape.kinds, key=str)
    kind = rng.choice(kinds)
    if kind is dict and shape.fields is not None:
        names = [name for name in shape.fields if name in shape.always or rng.random() < 0.6]
        rng.shuffle(names)
        return {name: _value(shape.fields[name], rng) for name in names}
    if kind is dict:
        return {_text(rng): _value(shape.each, rng) for _ in range(rng.randrange(4))}
    if kind is list:
        return [_value(shape.items, rng) for _ in range(rng.randrange(5))]
    if kind is str and shape.values is not None:
        return rng.choice(sorted(shape.values))
    simple = {
        str: lambda: _text(rng),
        int: lambda: rng.choice([0, 1, rng.randrange(2**40), 2**63, 2**70]),
        float: lambda: rng.choice([0.5, 1e300, float(rng.randrange(1000))]),
        bool: lambda: rng.random() < 0.5,
        type(None): lambda: None,
    }
    return simple[kind]()


def _text(rng):
    texts = ["MRN-0042", "", "2026-02-01T10:00:00.000Z", "Zoë-日本", "https://b.s3.amazonaws.com/x?X-Amz-Expires=1"]
    return rng.choice([*texts, str(random.Random(rng.random()).getrandbits(64))])
