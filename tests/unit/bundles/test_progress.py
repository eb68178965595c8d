"""A bundle that takes long is not stuck while bytes come and resources are looked at; by a clock that we turn."""

import hashlib

import obstore
import pytest
from obstore.store import MemoryStore

from streams.bundles.bundle import store as blobs
from streams.bundles.bundle.store import Blobs
from streams.bundles.job import BundlesJob, Options
from streams.engine.crashes.work_file import WorkFile
from streams.engine.health import Signs, health_of
from streams.engine.kafka.restore import Restoration
from streams.engine.log.output_tails import Tails
from streams.engine.log.writer import Writer
from streams.engine.work.assignment import Assignment
from streams.engine.work.attempts import Attempts
from streams.engine.work.pause import Pause
from streams.engine.work.positions import Positions
from streams.engine.work.stepwise import Stepwise
from tests.unit.bundles.stage import SOURCE, LocalValidator, SourceRecord, bundle_of, observation, patient, record_value
from tests.unit.engine.fakes import MemoryKafka, MemoryState, settings

STUCK_TIMEOUT_S = 6.0
STEP_S = 4.0


class Clock:
    """Turned by whoever is slow; remembers for how long the stage has at most been stuck."""

    def __init__(self):
        self.now = 1000.0
        self.longest_stuck_s = 0.0
        self.stuck_s = lambda: 0.0

    def __call__(self):
        return self.now

    def turn(self):
        self.now += STEP_S
        self.longest_stuck_s = max(self.longest_stuck_s, self.stuck_s())


class SlowValidator(LocalValidator):
    def __init__(self, clock):
        super().__init__()
        self._clock = clock

    def validate(self, chunks, moved):
        for chunk in chunks:
            for raw in chunk:
                self._clock.turn()
                yield from super().validate([[raw]], moved)


class SlowPieces:
    """What the store gives, each piece of it late."""

    def __init__(self, found, clock):
        self._found, self._clock = found, clock
        self.meta = found.meta

    def stream(self, min_chunk_size):
        data = bytes(self._found.bytes())
        for start in range(0, len(data), min_chunk_size):
            self._clock.turn()
            yield data[start : start + min_chunk_size]


async def process(raw, clock, validator):
    """Let the engine process one bundle; return its outputs by topic."""
    store = MemoryStore()
    store.put("bundle", raw)
    record = SourceRecord(record_value("bundle", bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest()), 0)
    job = BundlesJob(Blobs(store, bytes_max=2**31), validator, Options("metriport.", ("Observation",), 2**20, "v1"))
    kafka = MemoryKafka()
    state = MemoryState(kafka)
    writer = Writer(kafka, state, "changelog", clock=clock)
    positions = Positions(queued_batches_max=2, unfinished_bytes_max=2**30, clock=clock)
    positions.seeked({(SOURCE, 0): 0})
    positions.resume()
    positions.fetch((SOURCE, 0), [record])
    signs = Signs(written_at=lambda number: writer.written_at.get(number, 0.0))
    clock.stuck_s = lambda: health_of(positions, Restoration(), signs, clock=clock).stuck_s
    attempts = Attempts(WorkFile(None), state, writer, stage="bundles", stuck_timeout_s=STUCK_TIMEOUT_S)
    changed = settings(sources=(SOURCE,), record_bytes_max=2**25)
    pause = Pause(state=state, writer=writer, logs=None, settings=changed, lanes={}, end=pytest.fail)
    work = Stepwise(job, state=state, writer=writer, settings=changed, attempts=attempts, pause=pause)
    await work.process(Assignment({0: Tails()}), 0, [record])
    return {topic: rows for (topic, _), rows in kafka.logs.items()}


async def test_a_bundle_from_a_slow_store_passes_however_long_it_takes(monkeypatch):
    clock = Clock()
    get = obstore.get
    monkeypatch.setattr(blobs, "_PIECE_BYTES", 100)
    monkeypatch.setattr(blobs, "_REQUEST_BYTES", 1000)
    monkeypatch.setattr(blobs.obstore, "get", lambda *given, **options: SlowPieces(get(*given, **options), clock))

    written = await process(bundle_of([patient(), *map(observation, range(20))]), clock, LocalValidator())

    assert clock.now - 1000 > 10 * STUCK_TIMEOUT_S
    assert clock.longest_stuck_s < STUCK_TIMEOUT_S
    assert len(written["metriport.fhir.changes"]) == 2 + 21


async def test_a_bundle_of_many_slow_resources_passes_however_long_it_takes():
    clock = Clock()

    written = await process(bundle_of([patient(), *map(observation, range(20))]), clock, SlowValidator(clock))

    assert clock.now - 1000 > 10 * STUCK_TIMEOUT_S
    assert clock.longest_stuck_s < STUCK_TIMEOUT_S
    assert len(written["metriport.fhir.changes"]) == 2 + 21


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 2000, 3500])
def test_a_blob_that_takes_several_requests_comes_whole(size, monkeypatch):
    monkeypatch.setattr(blobs, "_REQUEST_BYTES", 1000)
    data = bytes(number % 251 for number in range(size))
    store = MemoryStore()
    store.put("bundle", data)

    with Blobs(store, bytes_max=10_000).on_disk("bundle", blobs.Progress()) as opened:
        assert opened.bytes(0, size) == data
        assert opened.size() == size
