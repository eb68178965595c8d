import pytest

from streams.engine.fatal import Fatal
from streams.engine.work.positions import Positions
from tests.unit.engine.fakes import Record

TP = ("in", 0)


@pytest.fixture
def positions():
    made = Positions(queued_batches_max=2, unfinished_bytes_max=1000, clock=lambda: 5.0)
    made.seeked({TP: 10})
    made.resume()
    return made


def test_nothing_is_fetched_before_the_first_seek():
    positions = Positions(queued_batches_max=2, unfinished_bytes_max=1000)

    positions.resume()

    assert not positions.may_fetch(TP)


def test_a_member_without_partitions_is_not_paused():
    positions = Positions(queued_batches_max=2, unfinished_bytes_max=1000)

    positions.resume(empty=True)

    assert not positions.paused


def test_the_flow_that_resumes_before_the_seek_fetches_nothing(positions):
    positions.pause()

    positions.resume()

    assert not positions.may_fetch(TP)


def test_a_partition_fetches_again_after_the_seek_that_follows_a_pause(positions):
    positions.pause()
    positions.seeked({TP: 10})

    positions.resume()

    assert positions.may_fetch(TP)


def test_a_batch_begins_where_the_last_one_ended_although_offsets_are_missing(positions):
    positions.fetch(TP, [Record(10), Record(11)])

    batch = positions.fetch(TP, [Record(15)])

    assert (batch.start, batch.end) == (12, 16)


def test_two_unfinished_batches_are_enough(positions):
    positions.fetch(TP, [Record(10)])
    positions.fetch(TP, [Record(11)])

    assert not positions.may_fetch(TP)


def test_unfinished_bytes_stop_every_partition(positions):
    positions.seeked({TP: 0, ("in", 1): 0})
    positions.resume()

    positions.fetch(TP, [Record(0, value=b"x" * 1000)])

    assert not positions.may_fetch(("in", 1))


def test_a_fetch_below_the_position_ends_the_process(positions):
    with pytest.raises(Fatal, match="below the position"):
        positions.fetch(TP, [Record(9)])


def test_a_batch_that_was_dropped_ends_the_process(positions):
    positions.fetch(TP, [Record(10)])
    second = positions.fetch(TP, [Record(11)])

    with pytest.raises(Fatal, match="one was dropped"):
        positions.accept(TP, second)


def test_a_batch_from_before_a_seek_is_not_accepted(positions):
    stale = positions.fetch(TP, [Record(10)])
    positions.seeked({TP: 10})

    assert not positions.accept(TP, stale)


def test_a_batch_from_before_a_seek_moves_no_commit(positions):
    stale = positions.fetch(TP, [Record(10)])
    positions.seeked({TP: 10})

    positions.finish(TP, stale)

    assert not positions.committable()


def test_the_end_of_the_last_finished_batch_is_committed(positions):
    batch = positions.fetch(TP, [Record(10), Record(14)])
    positions.accept(TP, batch)

    positions.finish(TP, batch)

    assert positions.to_commit(TP) == 15


def test_what_the_state_has_done_already_is_committed_with_nothing_read(positions):
    positions.seeked({TP: 10}, done={TP: 10})

    assert positions.to_commit(TP) == 10


def test_nothing_behind_an_abandoned_batch_is_committed(positions):
    given_up, later = positions.fetch(TP, [Record(10)]), positions.fetch(TP, [Record(11)])
    given_up.abandoned = True

    positions.finish(TP, given_up)
    positions.finish(TP, later)

    assert not positions.committable()


def test_a_finished_batch_makes_room(positions):
    first = positions.fetch(TP, [Record(10)])
    positions.fetch(TP, [Record(11)])

    positions.finish(TP, first)

    assert positions.may_fetch(TP)


def test_the_facts_tell_how_long_the_oldest_batch_waits(positions):
    positions.fetch(TP, [Record(10)])
    positions._clock = lambda: 8.0

    progress = positions.progress()[TP]

    assert progress == (10, 1, 3.0)


def test_the_text_of_a_batch_holds_no_record(positions):
    batch = positions.fetch(TP, [Record(10, value=b"Jane Doe")])

    assert "Jane" not in repr(batch)
