"""A network query with three sources, one of which fails, through the real jobs of all stages: in whatever order."""

import asyncio
import hashlib
import json
from itertools import permutations

import pytest

from models import samples, topics
from streams.deliveries.drift import Bounds
from streams.deliveries.job import DeliveriesJob
from streams.links.link import Outcome, StoredBody
from streams.patients.job import SOURCES, PatientsJob
from tests.unit.bundles import stage as bundles
from tests.unit.engine.fakes import MemoryKafka, Process, Record
from tests.unit.links.stage import PREFIX, running

REQUEST = "019a0000-0000-7000-8000-000000000001"
EARLY, HIE, PHARMACY, LAB = (
    "network-query.hie.first-data-ready",
    "network-query.hie",
    "network-query.pharmacy",
    "network-query.lab.failed",
)
# What the patient's one object held when each message was sent; the link of the source that failed is not followed.
HELD = {
    EARLY: [bundles.patient(), bundles.observation(1)],
    HIE: [bundles.patient(gender="female"), bundles.observation(1, 5), bundles.observation(2)],
    PHARMACY: [bundles.patient(gender="female"), bundles.observation(1, 5), bundles.observation(3)],
}
WHENS = {EARLY: "10:00:00", HIE: "10:03:00", PHARMACY: "10:02:00", LAB: "10:01:00"}


def delivery(name):
    found = samples.load(name)
    found["meta"] |= {"messageId": name, "requestId": REQUEST, "when": f"2026-02-01T{WHENS[name]}.000Z"}
    found["payload"]["patientId"] = bundles.PATIENT
    return found


class Way:
    """All four stages, each fed with what the one before it wrote."""

    def __init__(self, folder):
        self.kafka = MemoryKafka()
        self.fetched = []
        self._folder = folder
        self._bodies = {}
        for name, resources in HELD.items():
            raw = bundles.bundle_of(resources)
            (folder / name).write_bytes(raw)
            self._bodies[name] = StoredBody(len(raw), hashlib.sha256(raw).hexdigest(), name, '"e"', "")

    def go(self, names):
        asyncio.run(self._deliveries_and_links(names))
        stage = bundles.Stage(bundles.LocalValidator(), self._folder)
        for number, row in enumerate(self.kafka.logs[PREFIX + topics.BUNDLES, 0]):
            stage.deliver_record(bundles.SourceRecord(row.value, number, headers=tuple(row.headers)))
        self.bundles = stage
        asyncio.run(self._patients(stage.topics.get(PREFIX + topics.FHIR_SNAPSHOTS, [])))

    async def _deliveries_and_links(self, names):
        webhooks = [
            Record(at, samples.encode(delivery(name)), b"k", f"{PREFIX}webhooks") for at, name in enumerate(names)
        ]
        process = Process(DeliveriesJob(PREFIX, bounds=Bounds()), self.kafka, sources=(f"{PREFIX}webhooks",))
        await process.begin()
        process.feed(webhooks)
        await process.idle()
        async with running(self._fetch, kafka=self.kafka) as links:
            for name in names:
                links.process.feed(self._records(delivery(name)["meta"]["type"]))
                await links.settled()
            assert not links.fatal()

    def _fetch(self, link):
        if link.early is not None:  # as the real fetcher does
            return Outcome(link.early.outcome, link.early.reason)
        name = link.id.split("/", maxsplit=1)[0]
        self.fetched.append(name)
        return Outcome("stored", body=self._bodies[name])

    async def _patients(self, snapshots):
        self.kafka.logs[PREFIX + topics.FHIR_SNAPSHOTS, 0] += snapshots
        process = Process(
            PatientsJob(PREFIX), self.kafka, sources=tuple(PREFIX + name for name in SOURCES), app_id="patients"
        )
        await process.begin()
        for topic in SOURCES:
            if records := self._records(topic):
                process.feed(records)
                await process.idle()
        assert not process.ended

    def _records(self, topic):
        return [
            Record(number, row.value, row.key, PREFIX + topic, headers=tuple(row.headers))
            for number, row in enumerate(self.kafka.logs[PREFIX + topic, 0])
        ]

    def newest(self, topic):
        return json.loads(self.kafka.values(PREFIX + topic)[-1])


@pytest.fixture(scope="module")
def ways(tmp_path_factory):
    made = {}
    for number, names in enumerate(permutations(WHENS)):
        made[names] = way = Way(tmp_path_factory.mktemp(f"way-{number}"))
        way.go(names)
    return made


def test_the_patient_and_the_request_are_the_same_in_all_24_orders(ways):
    assert len(ways) == 24
    assert len({json.dumps(way.newest(topics.PATIENTS)) for way in ways.values()}) == 1
    assert len({json.dumps(way.newest(topics.REQUESTS)) for way in ways.values()}) == 1


def test_the_record_of_the_patient_is_the_same_in_all_24_orders(ways):
    found = [way.bundles.folded_state() for way in ways.values()]

    assert found[0]
    assert all(each == found[0] for each in found)
    assert {json.loads(value)["id"] for value in found[0].values()} == {bundles.PATIENT, "o-1", "o-2", "o-3"}


def test_a_partial_snapshot_removes_nothing(ways):
    changes = [what for way in ways.values() for what in _changes(way)]

    assert set(changes) <= {"snapshot.started", "created", "updated", "snapshot.completed"}


def test_the_link_of_the_source_that_failed_is_not_followed(ways):
    for way in ways.values():
        outcomes = {
            one["messageId"]: one["reason"] for one in map(json.loads, way.kafka.values(PREFIX + topics.BUNDLES))
        }

        assert outcomes == {EARLY: None, HIE: None, PHARMACY: None, LAB: "source_failed"}
        assert sorted(way.fetched) == sorted((EARLY, HIE, PHARMACY))


def test_the_request_has_ended_in_part(ways):
    request = next(iter(ways.values())).newest(topics.REQUESTS)

    assert (request["status"], request["awaited"]) == ("partial", {})
    assert {name: part["status"] for name, part in request["sources"].items()} == {
        "hie": "completed",
        "pharmacy/surescripts": "completed",
        "lab/quest": "failed",
    }


def _changes(way):
    return [dict(row.headers)["x-change"].decode() for row in way.bundles.topics[f"{PREFIX}{topics.FHIR_CHANGES}"]]
