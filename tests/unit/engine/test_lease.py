import time
from types import SimpleNamespace

import pytest
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

from streams.engine.driver.lease import Lease, elapsed_s

SYNC = SyncGroupRequest("group", 1, "member", "", [])


class Coordinator:
    """The two methods of aiokafka's; each call takes two seconds of `now`."""

    def __init__(self, now, *, alive=True, error_code=0):
        self.now, self.alive, self.error_code = now, alive, error_code

    async def _do_heartbeat(self):
        await self._send_req(HeartbeatRequest("group", 1, "member"))
        return self.alive

    async def _send_req(self, _request):
        self.now[0] += 2
        return SimpleNamespace(error_code=self.error_code)


@pytest.fixture
def now():
    return [100.0]


def listening(now, **answers):
    lease, coordinator = Lease(lambda: now[0]), Coordinator(now, **answers)
    lease.listen(coordinator)
    return lease, coordinator


def test_nobody_has_heard_from_a_worker_that_has_not_spoken(now):
    assert Lease(lambda: now[0]).silent_s() == float("inf")


async def test_a_heartbeat_counts_from_when_it_was_sent(now):
    lease, coordinator = listening(now)

    await coordinator._do_heartbeat()

    assert lease.silent_s() == 2


async def test_a_heartbeat_that_is_refused_counts_nothing(now):
    lease, coordinator = listening(now, alive=False)

    await coordinator._do_heartbeat()

    assert lease.silent_s() == float("inf")


async def test_an_assignment_counts_from_when_it_was_asked_for_however_late_it_is_taken_in(now):
    lease, coordinator = listening(now)

    await coordinator._send_req(SYNC)
    now[0] += 30

    assert lease.silent_s() == 32


async def test_an_assignment_that_is_refused_counts_nothing(now):
    lease, coordinator = listening(now, error_code=27)

    await coordinator._send_req(SYNC)

    assert lease.silent_s() == float("inf")


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="no such clock here")
def test_time_passes_while_the_machine_is_suspended(monkeypatch):
    monkeypatch.setattr(time, "clock_gettime", lambda clock: 1000.0 if clock == time.CLOCK_BOOTTIME else 1.0)

    assert elapsed_s() == 1000.0
