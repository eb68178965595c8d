"""What a stage must implement, and what it may."""

import pytest

from streams.engine.job import BatchedJob, StepwiseJob
from tests.unit.engine.fakes import Record
from tests.unit.engine.jobs import Fold, Walk


@pytest.mark.parametrize("kind", [BatchedJob, StepwiseJob])
def test_a_job_that_lacks_what_its_kind_needs_cannot_be_made(kind):
    incomplete = type("Incomplete", (kind,), {"outputs": ("a",), "quarantine": "q"})

    with pytest.raises(TypeError, match="abstract"):
        incomplete()


async def test_what_a_job_may_implement_beside_does_nothing_by_default():
    job = Fold()

    job.bound(object())
    await job.assigned(frozenset({0}))
    job.written(0, {b"k": b"v"})
    await job.revoked()

    assert list(Walk().refused(Record(0), "unreadable")) == []
