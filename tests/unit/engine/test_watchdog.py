import time

import pytest

from streams.engine.fatal import Fatal, where
from streams.engine.health import Signs, health_of
from streams.engine.kafka.restore import Restoration
from streams.engine.watchdog import Watchdog
from streams.engine.work.positions import Positions
from tests.unit.engine.fakes import Record

TP = ("in", 0)


class Ended(Exception):
    pass


def end(why):
    raise Ended(why)


def test_a_loop_that_does_not_turn_ends_the_process():
    now = [0.0]
    watchdog = Watchdog(stuck_s=lambda: 0.0, timeout_s=10, end=end, clock=lambda: now[0])
    now[0] = 11.0

    with pytest.raises(Ended, match="event loop"):
        watchdog.look()


def test_work_that_does_not_move_ends_the_process():
    watchdog = Watchdog(stuck_s=lambda: 11.0, timeout_s=10, end=end)

    with pytest.raises(Ended, match="nothing has moved"):
        watchdog.look()


def test_a_process_that_moves_is_left_alone():
    watchdog = Watchdog(stuck_s=lambda: 9.0, timeout_s=10, end=end)

    watchdog.beat()

    watchdog.look()


def consuming(clock=time.monotonic) -> Positions:
    positions = Positions(queued_batches_max=2, unfinished_bytes_max=1000, clock=clock)
    positions.seeked({TP: 0})
    positions.resume()
    return positions


def test_a_worker_that_has_not_sought_yet_is_not_ready():
    positions = Positions(queued_batches_max=2, unfinished_bytes_max=1000)

    health = health_of(positions, Restoration(), Signs())

    assert (health.ready, health.waiting_for) == (False, "the group, or the restore of the state")


def test_a_worker_without_work_is_ready_and_not_stuck():
    health = health_of(consuming(), Restoration(), Signs())

    assert (health.ready, health.stuck_s) == (True, 0.0)


def test_a_batch_that_waits_is_not_stuck_while_its_partition_is_written():
    now = [1000.0]
    positions = consuming(clock=lambda: now[0])
    positions.fetch(TP, [Record(0)])
    now[0] += 500

    moving = health_of(positions, Restoration(), Signs(written_at=lambda _: 1497.0), clock=lambda: now[0])
    stuck = health_of(positions, Restoration(), Signs(), clock=lambda: now[0])

    assert (moving.stuck_s, stuck.stuck_s) == (3, 500)


def late(seconds: float, **signs) -> str:
    positions = consuming()
    positions.fetch(TP, [Record(0)])
    positions._unfinished[TP][0].fetched_at -= seconds
    return health_of(positions, Restoration(), Signs(**signs)).waiting_for


def test_a_worker_with_an_old_unfinished_record_is_not_ready_whatever_other_sources_write():
    assert late(61, written_at=lambda _: time.monotonic()) == "in/0: a record is unfinished for 61 s"
    assert not late(59)


def test_a_batch_that_is_finished_record_by_record_is_not_late():
    assert not late(500, moved_at=lambda _: time.monotonic() - 3)


def test_a_worker_that_the_group_has_not_heard_from_is_not_ready_until_it_has():
    silent_s = [11.0]
    signs = Signs(silent_s=lambda: silent_s[0])

    away = health_of(consuming(), Restoration(), signs)
    silent_s[0] = 1.0
    back = health_of(consuming(), Restoration(), signs)

    assert (away.ready, away.waiting_for) == (False, "Kafka: it has not answered a heartbeat for 11 s")
    assert back.ready


def test_an_error_is_told_by_type_and_place_and_not_by_its_message():
    with pytest.raises(KeyError) as raised:
        {}["Jane Doe"]

    told = where(raised.value)

    assert told.startswith("KeyError at test_watchdog.py:")
    assert "Jane" not in told


def test_a_fatal_error_says_itself():
    assert where(Fatal("x")) == "Fatal"
