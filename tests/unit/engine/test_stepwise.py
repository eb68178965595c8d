import asyncio

import pytest

from models.errors import Poison
from models.headers import get
from streams.engine.job import Output, Step
from streams.engine.work.stepwise import PendingContext
from tests.unit.engine.fakes import MemoryKafka, MemoryState, Process, Record
from tests.unit.engine.jobs import Walk


async def begun(job, kafka=None, **changed) -> Process:
    process = Process(job, kafka or MemoryKafka(), **changed)
    await process.begin()
    return process


async def test_the_position_moves_with_the_last_step_of_a_record():
    process = await begun(Walk())

    process.feed([Record(0, b"3")])
    await process.idle()

    keys = [row.key for row in process.kafka.logs["test-state-changelog", 0]]
    ours = (b"\0mark/", b"\0end/", b"\0partitions")
    assert [key for key in keys if not key.startswith(ours)] == [b"0/0", b"0/1", b"0/2", b"\0pos/in"]


async def test_a_record_without_steps_moves_the_position():
    process = await begun(Walk())

    process.feed([Record(0, b"0")])
    await process.idle()

    assert process.engine.position(("in", 0)) == 1


async def test_a_revoke_ends_the_work_where_it_waits_and_does_not_finish_the_batch():
    started, cancelled = asyncio.Event(), []

    async def wait(record, step):
        if (record.offset, step) == (1, 1):
            started.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(step)
                raise

    process = await begun(Walk(wait=wait))
    batch = process.feed([Record(0, b"1"), Record(1, b"3")])
    await started.wait()

    await process.engine.revoked()
    await process.idle()

    assert (batch.abandoned, cancelled, process.ended) == (True, [1], [])
    assert process.kafka.values("a") == [b"0.0"]


async def test_the_next_owner_of_interrupted_work_repeats_nothing():
    started = asyncio.Event()

    async def wait(_, step):
        if step == 2:
            started.set()
            await asyncio.sleep(3600)

    process = await begun(Walk(wait=wait))
    process.feed([Record(0, b"4")])
    await started.wait()
    await process.engine.revoked()
    await process.idle()
    following = await begun(Walk(), process.kafka)

    following.feed([Record(0, b"4")])
    await following.idle()

    assert following.kafka.values("a") == [b"0.0", b"0.1", b"0.2", b"0.3"]


async def test_a_batch_behind_interrupted_work_is_given_up_too():
    process = await begun(Walk(wait=lambda *_: asyncio.sleep(3600)))
    process.feed([Record(0, b"1")])
    later = process.feed([Record(1, b"0")])
    await asyncio.sleep(0)

    await process.engine.revoked()
    await process.idle()

    assert later.abandoned
    assert process.state.copies[0] == {}


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Poison("not_fhir"), b"not_fhir"), (KeyError("Jane"), b"unprocessable")],
    ids=["poison", "bug"],
)
async def test_a_record_that_cannot_be_finished_goes_to_quarantine_and_the_next_one_flows_on(error, reason):
    process = await begun(Walk(fail_at=2, error=error))

    process.feed([Record(0, b"3"), Record(1, b"1")])
    await process.idle()

    assert get(process.kafka.logs["quarantine", 0][0].headers, "x-quarantine-reason") == reason
    assert process.kafka.values("a") == [b"0.0", b"1.0"]
    assert process.state.copies[0][b"\0pos/in"] == b"2"


async def test_a_dependency_that_is_away_ends_the_process_and_the_record_is_kept():
    process = await begun(Walk(fail_at=1, error=ConnectionError()))

    process.feed([Record(0, b"3")])
    await process.idle()

    assert [type(why) for why in process.ended] == [ConnectionError]
    assert b"\0pos/in" not in process.state.copies[0]


def test_a_reading_shows_the_changes_that_are_not_written_yet():
    state = MemoryState(MemoryKafka())
    state.put_many(0, [(b"p/a", b"1"), (b"p/c", b"3"), (b"p/d", b"4"), (b"q", b"9")], 0)
    context = PendingContext(state, 0)

    context.pending = Step(changes={b"p/b": b"2", b"p/c": None, b"p/d": b"5", b"p/e": b"6"}).changes

    assert list(context.scan(b"p/")) == [(b"p/a", b"1"), (b"p/b", b"2"), (b"p/d", b"5"), (b"p/e", b"6")]
    assert context.get([b"p/c", b"p/b", b"q"]) == [None, b"2", b"9"]


@pytest.mark.parametrize("error", [Poison("not_fhir"), KeyError("Jane")], ids=["poison", "bug"])
async def test_what_the_job_says_of_a_refused_record_is_written_beside_it(error):
    job = Walk(fail_at=1, error=error)
    job.refused = lambda record, reason: [Output("a", record.key, f"{record.offset} {reason}".encode())]
    process = await begun(job)

    process.feed([Record(0, b"3"), Record(1, b"1")])
    await process.idle()

    reason = error.reason if isinstance(error, Poison) else "unprocessable"
    assert process.kafka.values("a") == [f"0 {reason}".encode(), b"1.0"]
    assert process.kafka.values("quarantine") == [b"3"]


@pytest.mark.parametrize(
    "refused",
    [lambda *_: 1 / 0, lambda *_: [Output("elsewhere", None, b"")], lambda *_: [Output("a", None, bytes(200_000))]],
    ids=["raises", "another topic", "too large"],
)
async def test_a_job_that_cannot_say_why_a_record_was_refused_stops_nobody(refused):
    job = Walk(fail_at=0, error=Poison("not_fhir"))
    job.refused = refused
    process = await begun(job)

    process.feed([Record(0, b"3"), Record(1, b"0")])
    await process.idle()

    assert process.kafka.values("quarantine") == [b"3"]
    assert process.state.copies[0][b"\0pos/in"] == b"2"
