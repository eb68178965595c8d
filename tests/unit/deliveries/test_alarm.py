"""The gauge for alerts counts what differs and was accepted by nobody, in partitions of ours."""

import asyncio
import json

import pytest

from models import acceptance, samples
from models.acceptance import Difference
from streams.audit import Audit
from streams.deliveries import events
from streams.deliveries.alarm import Alarm
from streams.deliveries.drift import Bounds
from streams.deliveries.job import DeliveriesJob
from tests.unit.deliveries.stage import SOURCE
from tests.unit.engine.fakes import MemoryKafka, MemoryState, Process, Record

AUDIT = "metriport.audit"


def shown():
    """What the gauge says, by type."""
    found = events.DRIFT_OPEN.collect()[0].samples
    return {sample.labels["type"]: sample.value for sample in found}


class Service:
    """A deliveries stage that reads an `audit`."""

    def __init__(self):
        self.kafka = MemoryKafka()
        self.state = MemoryState(self.kafka)
        self._delivered = self._audited = 0

    async def begin(self):
        alarm = Alarm(Audit(self.kafka, AUDIT, 1).news, poll_s=0.001)
        job = DeliveriesJob("metriport.", bounds=Bounds(), alarm=alarm)
        self._process = Process(job, self.kafka, self.state, sources=(SOURCE,), stage="deliveries")
        await self._process.begin()

    async def deliver(self, *fields, kind="patient.admit"):
        delivery = samples.load(kind)
        delivery["payload"] |= dict.fromkeys(fields, 1)
        delivery["meta"]["messageId"] = f"m-{self._delivered}"
        self._process.feed([Record(self._delivered, samples.encode(delivery), b"k", SOURCE)])
        self._delivered += 1
        await self._process.idle()

    async def audit(self, value):
        self.kafka.inputs[AUDIT, 0][self._audited] = Record(self._audited, value, None, AUDIT)
        self.kafka.logs[AUDIT, 0].append(value)
        self._audited += 1
        await asyncio.sleep(0.05)

    async def end(self):
        await self._process.engine.revoked()
        assert not self._process.ended


@pytest.fixture
async def service():
    made = Service()
    await made.begin()
    yield made
    await made.end()


def accepting(*differences):
    told = {"at": "2026-02-01T10:00:00.000Z", "by": "a@b", "command": acceptance.COMMAND}
    return json.dumps(told | acceptance.told([Difference(*each) for each in differences])).encode()


async def test_what_differs_is_counted_until_it_is_accepted(service):
    await service.deliver("newField", "other")
    await service.deliver("newField")
    before = shown()

    await service.audit(accepting(("patient.admit", "payload.newField", "unknown_field")))

    assert (before, shown()) == ({"patient.admit": 2}, {"patient.admit": 1})


async def test_what_is_accepted_of_another_type_or_kind_is_not_accepted_of_this(service):
    await service.deliver("newField")

    await service.audit(
        accepting(
            ("patient.discharge", "payload.newField", "unknown_field"),
            ("patient.admit", "payload.newField", "missing_field"),
        )
    )

    assert shown() == {"patient.admit": 1}


async def test_other_records_of_audit_accept_nothing(service):
    await service.deliver("newField")

    for value in (None, b"", b"{}", b'{"command": "fhir removals apply"}', b"[1", b'{"command": "drift accept"}'):
        await service.audit(value)

    assert shown() == {"patient.admit": 1}


async def test_a_worker_that_begins_counts_what_its_table_says(service):
    await service.deliver("newField")
    await service.end()
    ended = shown()

    await service.begin()

    assert (ended, shown()) == ({}, {"patient.admit": 1})
