"""A stage whose new version breaks on what it reads waits for an operator; what a sender made wrong stops nothing."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.poison import notes
from streams.engine.poison.limit import Limit, Window
from tests.unit.engine.fakes import MemoryKafka, Process, Record
from tests.unit.engine.jobs import Fold, Walk

DECISIONS = "release.test"
WATCHED = {"decisions": DECISIONS, "version": "2", "poison_records_min": 30, "decision_poll_s": 0.001}

BATCHES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 60), st.integers(0, 60)).map(
        lambda one: (one[0], one[1], min(one[1], one[2]))
    )
)


@given(BATCHES, st.floats(0.01, 1), st.integers(1, 100), st.integers(1, 60))
def test_the_limit_is_passed_where_the_share_of_the_window_says_so_and_nowhere_else(batches, share, least, window_s):
    window, counted, now = Window(Limit(share, least, window_s)), [], 0
    for wait, records, broken in batches:
        now += wait
        seen = [each for each in counted if each[0] > now - window_s] + [(now, records, broken)]
        in_all, bad = sum(each[1] for each in seen), sum(each[2] for each in seen)

        passed = window.passes(records, broken, at_s=now + 0.5)

        assert passed == (broken > 0 and in_all >= least and bad > in_all * share)
        if not passed:
            counted.append((now, records, broken))


class Broken(Fold):
    """A build that breaks on every third record."""

    def apply(self, item, state):
        if item[1] % 3 == 0:
            raise KeyError("nobody foresaw this")
        return super().apply(item, state)


class BrokenWalk(Walk):
    """The same, in steps."""

    async def process(self, record, reading):
        if record.offset % 3 == 0:
            raise KeyError("nobody foresaw this")
        async for step in super().process(record._replace(value=b"1"), reading):
            yield step


def records(first, end, value=None):
    return [Record(offset, value or b"%d" % offset) for offset in range(first, end)]


async def begun(job, kafka=None, **changed):
    process = Process(job, kafka or MemoryKafka(), **{**WATCHED, **changed})
    await process.begin()
    return process


async def settle(process):
    """Wait until the process has done all that it was given, or waits for a decision."""
    while not process.engine.needs_decision and process.engine._turns:  # noqa: ASYNC110 - it comes in two ways
        await asyncio.sleep(0)


def resume(process):
    process.feed([Record(len(process.kafka.logs[DECISIONS, 0]), notes.resuming(), topic=DECISIONS)])


async def leave(process):
    await process.engine.revoked()
    await process.idle()
    assert process.ended == []


@pytest.mark.parametrize("job", [Broken(), BrokenWalk()], ids=["batched", "stepwise"])
async def test_a_version_that_breaks_every_third_record_is_paused_and_says_what_to_do(job):
    process = await begun(job)
    for first in range(0, 200, 10):
        process.feed(records(first, first + 10))

    await settle(process)

    assert "metriport-streams worker --resume test" in process.engine.needs_decision
    assert len(process.kafka.logs["quarantine", 0]) <= 10
    assert process.engine.position(("in", 0)) < 40
    await leave(process)


async def test_what_takes_a_stage_past_the_limit_is_not_in_quarantine():
    process = await begun(Broken())
    process.feed(records(0, 100))

    await settle(process)

    assert process.kafka.logs["quarantine", 0] == []
    assert process.engine.position(("in", 0)) is None
    await leave(process)


@pytest.mark.parametrize("job", [Broken(), BrokenWalk()], ids=["batched", "stepwise"])
async def test_a_resumed_stage_works_on_all_in_order_and_is_not_paused_again(job):
    process = await begun(job)
    for first in range(0, 200, 10):
        process.feed(records(first, first + 10))
    await settle(process)

    resume(process)
    await process.idle()

    assert (process.engine.needs_decision, process.ended) == ("", [])
    assert [row.value for row in process.kafka.logs["quarantine", 0]] == [b"%d" % at for at in range(0, 200, 3)]
    assert process.engine.position(("in", 0)) == 200


async def test_the_same_version_is_still_paused_after_a_restart_and_another_one_goes_on():
    process = await begun(Broken())
    process.feed(records(0, 100))
    await settle(process)
    await leave(process)

    again = await begun(Broken(), process.kafka)
    paused = again.engine.needs_decision
    await leave(again)
    mended = await begun(Fold(), process.kafka, version="3")
    mended.feed(records(0, 100))
    await mended.idle()

    assert "is paused: 34 of 100 records" in paused
    assert (mended.engine.needs_decision, mended.engine.position(("in", 0))) == ("", 100)


async def test_a_resumed_version_is_not_paused_after_a_restart_either():
    process = await begun(Broken())
    process.feed(records(0, 100))
    await settle(process)
    resume(process)
    await process.idle()
    await leave(process)

    again = await begun(Broken(), process.kafka)
    again.feed(records(100, 200))
    await again.idle()

    assert again.engine.position(("in", 0)) == 200


async def test_a_decision_of_before_the_pause_does_not_resume():
    process = await begun(Broken())
    resume(process)
    process.feed(records(0, 100))
    await settle(process)

    await asyncio.sleep(0.01)

    assert process.engine.needs_decision
    await leave(process)


@pytest.mark.parametrize(
    ("job", "value", "changed"),
    [
        (Fold(), b"poison", {}),
        (Broken(), None, {"poison_watch_after_version_s": 0.0}),
        (Broken(), None, {"poison_share_max": 0.4}),
        (Broken(), None, {"poison_records_min": 10_001}),
        (Broken(), None, {"version": ""}),
    ],
    ids=["made-by-the-sender", "long-after-a-change", "below-the-share", "too-few", "no-version"],
)
async def test_nothing_is_paused_for(job, value, changed):
    process = await begun(job, **changed)
    for first in range(0, 10_000, 500):
        process.feed(records(first, first + 500, value))

    await process.idle()

    assert (process.engine.needs_decision, process.ended) == ("", [])
    assert process.engine.position(("in", 0)) == 10_000


async def test_odd_records_among_decisions_pause_nothing():
    process = await begun(Fold(), sources=("in", DECISIONS))
    process.feed([Record(offset, b"\xff", topic=DECISIONS) for offset in range(200)])

    await process.idle()

    assert process.engine.needs_decision == ""
    assert len(process.kafka.logs["quarantine", 0]) == 200


async def test_a_paused_stage_still_writes_what_was_listed_before():
    process = await begun(Broken())
    process.feed(records(0, 100))
    await settle(process)

    assert await process.engine.complete(0, [], {b"listed": None})
    await leave(process)


def test_the_note_of_a_newer_version_of_the_note_is_read_and_what_it_says_beside_is_left_out():
    note = notes.Note(version="1", since_ms=7, paused_from=3)
    newer = json.dumps(json.loads(note.encode()) | {"more": 1}).encode()

    assert notes.note_of(newer, "1", 9) == note
