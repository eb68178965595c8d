"""Measures how long the group has not heard from us: the partitions are ours until its session would have run out."""

import time
from collections.abc import Callable
from typing import Any

from aiokafka.protocol.group import SyncGroupRequest

# `CLOCK_MONOTONIC` stands still on Linux while the machine is suspended, and the broker's does not. Elsewhere there is
# no other clock, and the monotonic one goes on.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_NEVER = float("-inf")


def elapsed_s() -> float:
    """Return seconds since some fixed moment, those while the machine was suspended included."""
    return time.clock_gettime(_CLOCK)


class Lease:
    """Counts from when a request was sent that the group answered well: the broker's session began later than that.

    What the event loop learns, and when, says nothing: it may have stood still since the answer came.
    """

    def __init__(self, clock: Callable[[], float] = elapsed_s) -> None:
        self._clock = clock
        self._heard_at = _NEVER

    def silent_s(self) -> float:
        """Seconds since the last request was sent that the group answered well; infinite before the first."""
        return self._clock() - self._heard_at

    def listen(self, coordinator: Any) -> None:
        """Take note of the heartbeats of aiokafka's `coordinator`, and of the answers that give partitions."""
        beat, ask = coordinator._do_heartbeat, coordinator._send_req  # noqa: SLF001 - nothing public tells of them

        async def heartbeat() -> Any:
            sent_at = self._clock()
            alive = await beat()
            if alive:
                self._heard(sent_at)
            return alive

        async def request(asked: Any) -> Any:
            sent_at = self._clock()
            answer = await ask(asked)
            if isinstance(asked, SyncGroupRequest) and not answer.error_code:
                self._heard(sent_at)
            return answer

        coordinator._do_heartbeat, coordinator._send_req = heartbeat, request  # noqa: SLF001

    def _heard(self, sent_at: float) -> None:
        self._heard_at = max(self._heard_at, sent_at)
