"""The pool survives what is done to it: killed processes, resources that hang, die, or eat memory."""

import asyncio
import os
import signal
import time

import orjson
import pytest

from streams.bundles import pool as pool_module
from streams.bundles.judges import Standards
from streams.bundles.pool import Pool, PoolLimits
from tests.unit.bundles import hostile_worker
from tests.unit.bundles.stage import observation

GOOD = [orjson.dumps(observation(number)) for number in range(60)]


@pytest.fixture
async def pool():
    async with Pool(Standards(), PoolLimits()) as started:
        yield started


@pytest.fixture
async def hostile_pool(monkeypatch):
    monkeypatch.setattr(pool_module, "work", hostile_worker.work)
    async with Pool(
        Standards(memory_bytes_max=2**30), PoolLimits(chunk_timeout_s=1, resource_timeout_s=0.5)
    ) as started:
        yield started


async def test_findings_come_in_the_order_of_the_resources(pool):
    findings = await pool.examine([GOOD[0], b"{", GOOD[1]], {})

    assert [finding.finding for finding in findings] == ["accepted", "rejected", "accepted"]


async def test_a_process_killed_in_the_middle_of_a_chunk_costs_no_resource(hostile_pool):
    asking = asyncio.create_task(hostile_pool.examine([*GOOD, hostile_worker.SLOW], {}))
    await asyncio.sleep(0.1)
    os.kill(hostile_pool.pids[0], signal.SIGKILL)

    findings = await asking

    assert {finding.finding for finding in findings} == {"accepted"}
    assert hostile_pool.lost == 1


@pytest.mark.parametrize("bad", [hostile_worker.HANGS, hostile_worker.DIES], ids=["hangs", "dies"])
async def test_a_resource_that_takes_its_process_along_crashes_alone_and_soon(hostile_pool, bad):
    begun_at = time.monotonic()

    findings = await hostile_pool.examine([*GOOD[:30], bad, *GOOD[30:]], {})

    assert [finding.finding for finding in findings] == ["accepted"] * 30 + ["crashed"] + ["accepted"] * 30
    assert time.monotonic() - begun_at < 10


@pytest.mark.parametrize("bad", [hostile_worker.EATS, hostile_worker.RECURSES], ids=["eats memory", "recurses"])
async def test_a_resource_that_costs_too_much_is_refused_and_its_process_lives_on(hostile_pool, bad):
    findings = await hostile_pool.examine([GOOD[0], bad, GOOD[1]], {})

    assert [finding.finding for finding in findings] == ["accepted", "rejected", "accepted"]
    assert b"too-costly" in findings[1].outcome
    assert hostile_pool.lost == 0


async def test_the_event_loop_turns_while_a_chunk_is_examined(pool):
    waits = []

    async def turn():
        while True:
            begun_at = time.monotonic()
            await asyncio.sleep(0)
            waits.append(time.monotonic() - begun_at)

    turning = asyncio.create_task(turn())
    await pool.examine(GOOD * 10, {})
    turning.cancel()

    assert len(waits) > 10
