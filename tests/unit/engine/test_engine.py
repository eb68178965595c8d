import asyncio

import pytest

from models.errors import Poison
from streams.engine.job import Output
from tests.unit.engine.fakes import Crash, MemoryKafka, Process, Record
from tests.unit.engine.jobs import Fold

CHANGELOG = "test-state-changelog"


def completed(number: int) -> Output:
    return Output("a", b"k", b"%d" % number, [("ce_id", b"e%d" % number), ("x-source", b"in/0/3/0")])


async def begun(kafka=None, job=None, state=None, **changed) -> Process:
    process = Process(job or Fold(), kafka or MemoryKafka(), state, **changed)
    await process.begin()
    return process


async def test_outputs_are_acknowledged_before_the_changelog_and_the_changelog_before_the_local_state():
    reached = []
    for effects in range(4):
        process = await begun()
        process.kafka.effects_left = effects
        process.feed([Record(0, b"2")])
        await process.idle()
        logs = process.kafka.logs
        reached.append((len(logs["a", 0]), len(logs[CHANGELOG, 0]), len(process.state.copies[0])))

    # In the state: its partition count, the sum, the position, the fingerprint of the record, the end of the output.
    assert reached == [(0, 0, 0), (2, 0, 0), (2, 5, 0), (2, 5, 5)]


async def test_a_batch_is_done_only_when_everything_is_written():
    done = []
    process = await begun()
    process.kafka.effects_left = 2

    process.feed([Record(0, b"2")], done=lambda: done.append(True))
    await process.idle()

    assert (done, len(process.ended), type(process.ended[0])) == ([], 1, Crash)


async def test_batches_of_one_partition_number_run_one_after_another_whatever_their_topic():
    process = await begun(sources=("in", "other"))
    process.kafka.gate = asyncio.Event()
    process.feed([Record(0, b"1")])
    process.feed([Record(0, b"3", topic="other")])
    process.feed([Record(1, b"5")])

    process.kafka.gate.set()
    await process.idle()

    assert process.kafka.values("b") == [b"1.0", b"5.0", b"5.1"]
    assert process.state.copies[0][b"k"] == b"3 5"


async def test_records_below_the_position_in_the_state_are_skipped():
    process = await begun()
    process.feed([Record(0, b"2"), Record(1, b"4")])
    await process.idle()

    process.feed([Record(1, b"4"), Record(2, b"8")])
    await process.idle()

    assert process.state.copies[0][b"k"] == b"3 8"


async def test_changes_that_fill_more_than_one_record_batch_are_written_in_halves():
    process = await begun(MemoryKafka(batch_bytes_max=60))

    process.feed([Record(offset, b"4", key=b"key-%d" % offset) for offset in range(8)])
    await process.idle()

    assert process.kafka.values("a") == [b"4.0"] * 8
    assert process.state.copies[0][b"\0pos/in"] == b"8"


async def test_notes_are_told_when_the_record_is_safe_and_not_before():
    told = []

    class Noting(Fold):
        def apply(self, item, state):
            state.note(lambda amount, **facts: told.append((amount, facts)), kind="x")
            return super().apply(item, state)

    process = await begun(job=Noting())
    process.kafka.effects_left = 1
    process.feed([Record(0, b"2")])
    await process.idle()
    before = list(told)
    process.kafka.effects_left = None
    process.feed([Record(0, b"2")])
    await process.idle()

    assert (before, told) == ([], [(1, {"kind": "x"})])


async def test_a_job_is_told_which_changes_are_written():
    told = []
    job = Fold()
    job.written = lambda partition, changes: told.append((partition, changes[b"k"]))
    process = await begun(job=job)

    process.feed([Record(0, b"2")])
    await process.idle()

    assert told == [(0, b"1 2")]


async def test_completed_outputs_are_marked_and_their_changes_are_in_the_state():
    process = await begun()

    kept = await process.engine.complete(0, [completed(1)], {b"work": None, b"done": b"1"})

    assert kept
    assert process.kafka.logs["a", 0][0].headers[-1] == ("x-settled", b"1")
    assert process.state.get_many(0, [b"done", b"work"]) == [b"1", None]


async def test_completed_outputs_are_not_repeated_after_a_crash_between_them_and_their_changes():
    process = await begun()
    process.kafka.effects_left = 1
    with pytest.raises(Crash):
        await process.engine.complete(0, [completed(1)], {b"done": b"1"})
    process.kafka.effects_left = None
    again = await begun(process.kafka)

    await again.engine.complete(0, [completed(1), completed(2)], {b"done": b"1"})

    assert again.kafka.values("a") == [b"1", b"2"]


async def test_completed_outputs_do_not_hide_the_outputs_of_batches():
    process = await begun()
    await process.engine.complete(0, [completed(1)], {})
    again = await begun(process.kafka)

    again.feed([Record(0, b"1", topic="in"), Record(1, b"2")])
    await again.idle()

    assert again.kafka.values("a") == [b"1", b"2.0", b"2.1"]


async def test_nothing_is_completed_once_the_partition_is_gone():
    process = await begun()
    await process.engine.revoked()

    assert not await process.engine.complete(0, [completed(1)], {})


async def test_a_revoke_waits_for_what_is_being_completed():
    process = await begun()
    process.kafka.gate = asyncio.Event()
    completing = asyncio.ensure_future(process.engine.complete(0, [completed(1)], {b"done": b"1"}))
    await asyncio.sleep(0)
    revoking = asyncio.ensure_future(process.engine.revoked())
    await asyncio.sleep(0)
    waits = not revoking.done()

    process.kafka.gate.set()
    await revoking

    assert (waits, await completing) == (True, True)


async def test_completed_outputs_without_a_ce_id_are_refused():
    process = await begun()

    with pytest.raises(ValueError, match="ce_id"):
        await process.engine.complete(0, [Output("a", b"k", b"v")], {})


async def test_more_completed_outputs_than_a_tail_covers_are_refused():
    process = await begun(tail_records=2)

    with pytest.raises(ValueError, match="at most 2"):
        await process.engine.complete(0, [completed(1), completed(2), completed(3)], {})


async def test_a_completed_output_that_fits_no_record_is_the_callers_to_quarantine():
    process = await begun()

    with pytest.raises(Poison) as refused:
        await process.engine.complete(0, [completed(1)._replace(value=b"x" * 200_000)], {})

    assert refused.value.reason == "too_large"


async def test_a_job_is_told_of_its_partitions_after_the_restore_and_of_their_end():
    told = []

    class Told(Fold):
        def bound(self, engine):
            self.engine = engine

        async def assigned(self, partitions):
            told.append((partitions, dict(self.engine.scan(0, b"k"))))

        async def revoked(self):
            told.append("revoked")

    first = await begun()
    first.feed([Record(0, b"2")])
    await first.idle()
    second = await begun(first.kafka, Told())

    await second.engine.revoked()

    assert told == [(frozenset({0}), {b"k": b"1 2"}), "revoked"]
