"""The pool survives what is done to it: killed processes, resources that hang, die, or eat memory."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import orjson
import pytest

from streams.bundles.bundle.progress import Progress, Unwanted
from streams.bundles.validation import pool as pool_module
from streams.bundles.validation.build import Standards
from streams.bundles.validation.pool import Pool, PoolLimits
from streams.engine.job import Unavailable
from tests.unit.bundles import hostile_worker
from tests.unit.bundles.stage import observation

GOOD = [orjson.dumps(observation(number)) for number in range(60)]


def found(pool, resources):
    return [result for results in pool.validate([resources]) for result in results]


@pytest.fixture
def pool():
    with Pool(Standards(), PoolLimits()) as started:
        yield started


@pytest.fixture
def hostile_pool(monkeypatch):
    monkeypatch.setattr(pool_module, "work", hostile_worker.work)
    with Pool(Standards(memory_bytes_max=2**30), PoolLimits(chunk_timeout_s=1, resource_timeout_s=0.5)) as started:
        yield started


def test_results_come_in_the_order_of_the_resources(pool):
    results = found(pool, [GOOD[0], b"{", GOOD[1]])

    assert [result.status for result in results] == ["accepted", "rejected", "accepted"]


def test_many_chunks_come_back_in_their_order_and_are_taken_as_they_are_worked_on(pool):
    taken = []

    def chunks():
        for number in range(20):
            taken.append(number)
            yield [GOOD[0], b"{"] if number % 2 else [GOOD[0]]

    for number, results in enumerate(pool.validate(chunks())):
        assert len(results) == 1 + number % 2
        assert len(taken) <= number + 3


def test_two_who_ask_at_once_get_their_own_answers(pool):
    with ThreadPoolExecutor() as threads:
        one, other = threads.map(partial(found, pool), [GOOD * 5, [b"{"] * 10])

    assert ({each.status for each in one}, {each.status for each in other}) == ({"accepted"}, {"rejected"})


def test_a_process_killed_in_the_middle_of_a_chunk_costs_no_resource(hostile_pool):
    with ThreadPoolExecutor() as threads:
        asking = threads.submit(found, hostile_pool, [*GOOD, hostile_worker.SLOW])
        time.sleep(0.1)
        os.kill(hostile_pool.pids[0], signal.SIGKILL)
        results = asking.result()

    assert {result.status for result in results} == {"accepted"}
    assert hostile_pool.lost == 1


def test_processes_that_do_not_start_are_no_fault_of_the_bundle_in_hand(monkeypatch):
    monkeypatch.setattr(pool_module, "work", hostile_worker.never_answer)
    pool = Pool(Standards(), PoolLimits(start_timeout_s=0.5))

    with pytest.raises(Unavailable):
        found(pool, GOOD)

    pool.close()


@pytest.mark.parametrize("bad", [hostile_worker.HANGS, hostile_worker.DIES], ids=["hangs", "dies"])
def test_a_resource_that_takes_its_process_along_crashes_alone_and_soon(hostile_pool, bad):
    begun_at = time.monotonic()

    results = found(hostile_pool, [*GOOD[:30], bad, *GOOD[30:]])

    assert [result.status for result in results] == ["accepted"] * 30 + ["crashed"] + ["accepted"] * 30
    assert time.monotonic() - begun_at < 10


@pytest.mark.parametrize("bad", [hostile_worker.EATS, hostile_worker.RECURSES], ids=["eats memory", "recurses"])
def test_a_resource_that_costs_too_much_is_refused_and_its_process_lives_on(hostile_pool, bad):
    results = found(hostile_pool, [GOOD[0], bad, GOOD[1]])

    assert [result.status for result in results] == ["accepted", "rejected", "accepted"]
    assert b"too-costly" in results[1].outcome
    assert hostile_pool.lost == 0


@pytest.mark.parametrize("start", [hostile_worker.never_answer, hostile_worker.end_at_once], ids=["hangs", "ends"])
def test_a_lost_process_that_cannot_be_replaced_is_no_fault_of_the_resources(monkeypatch, start):
    monkeypatch.setattr(pool_module, "work", hostile_worker.work)
    with Pool(Standards(), PoolLimits()) as pool:
        monkeypatch.setattr(pool_module, "work", start)
        for process in pool._processes:
            process._start_timeout_s = 0.5

        with pytest.raises(Unavailable):
            found(pool, [*GOOD[:3], hostile_worker.DIES])


def test_every_question_is_progress_those_to_single_resources_too(hostile_pool):
    moves = []

    list(hostile_pool.validate([[*GOOD[:3], hostile_worker.DIES]], lambda: moves.append(1)))

    assert len(moves) == 1 + 3 + 2  # all together, the good ones, twice the one that dies


def test_work_given_up_ends_with_the_question_in_hand(hostile_pool):
    progress = Progress()
    progress.give_up()

    with pytest.raises(Unwanted):
        list(hostile_pool.validate([GOOD], progress.moved))

    assert len(found(hostile_pool, GOOD)) == len(GOOD)


def test_a_bundle_of_resources_that_crash_does_not_crash_a_process_for_each(hostile_pool, monkeypatch):
    monkeypatch.setattr(pool_module, "CRASHED_MAX", 3)

    results = found(hostile_pool, [hostile_worker.DIES] * 200)

    assert [result.status for result in results] == ["crashed"] * 200
    assert hostile_pool.lost == 1 + 2 * 4
