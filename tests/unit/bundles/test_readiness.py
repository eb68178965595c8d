"""The stage takes no work before those who validate resources answer."""

import asyncio
from threading import Event

import pytest

from streams.bundles.job import BundlesJob, Options
from streams.engine.job import Unavailable
from tests.unit.bundles.stage import LocalValidator

PARTITIONS = frozenset({0})


def job(start):
    validator = LocalValidator()
    validator.start = start
    made = BundlesJob(None, validator, Options("metriport.", ("Observation",), 100_000, "v1"))
    made.bound(None)
    return made


async def test_an_assignment_waits_until_the_validator_answers():
    answered = Event()
    assigning = asyncio.create_task(job(lambda: answered.wait(20)).assigned(PARTITIONS))
    await asyncio.sleep(0)
    begun = not assigning.done()

    answered.set()
    await assigning

    assert begun


async def test_a_validator_that_does_not_start_ends_the_assignment():
    def start():
        raise Unavailable("a process that checks resources did not start")

    with pytest.raises(Unavailable):
        await job(start).assigned(PARTITIONS)


async def test_a_later_assignment_finds_the_validator_ready():
    made = job(lambda: None)

    await made.assigned(PARTITIONS)
    await made.assigned(PARTITIONS)
