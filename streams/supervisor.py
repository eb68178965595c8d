"""One child process per stage: started, watched, started again with a growing pause, ended together.

A stage that finds itself in doubt ends its process on purpose (nothing unfinished was committed, so that is always
safe); starting it again is this module's job, or the orchestrator's where a stage runs alone.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from models import report, telemetry

FIRST_PAUSE_S = 0.5
LAST_PAUSE_S = 30.0
HEALTHY_AFTER_S = 60.0
USAGE = 2


def pause_after(previous_s: float, *, ran_s: float) -> float:
    """Return how long to wait before a stage that ran for `ran_s` is started again."""
    if ran_s >= HEALTHY_AFTER_S or not previous_s:
        return FIRST_PAUSE_S
    return min(previous_s * 2, LAST_PAUSE_S)


async def supervise(
    stages: Sequence[str], *, stop_timeout_s: float, addresses: Mapping[str, str] = MappingProxyType({})
) -> int:
    """Run these stages until SIGTERM or SIGINT; return the exit code. `addresses` says where each answers.

    A stage that says its settings are wrong (exit code 2) ends them all: starting it again would not help.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watchers = [
        asyncio.create_task(
            _watch(
                [stage, *(each for each in stages if each != stage)],
                stop,
                stop_timeout_s,
                answers_at=addresses.get(stage, "nowhere"),
            )
        )
        for stage in stages
    ]
    code = max(await asyncio.gather(*watchers), default=0)
    # The loop gives Ctrl-C back to Python, which has a traceback for it. All that is left is to end.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    return code


async def _watch(stages: Sequence[str], stop: asyncio.Event, stop_timeout_s: float, *, answers_at: str) -> int:
    """Run the first of these stages, beside the others."""
    stage, *beside = stages
    pause_s = 0.0
    while not stop.is_set():
        started_at = time.monotonic()
        # The child is told who its parent is: asked later, it might already be an orphan.
        command = (sys.executable, "-m", "streams.stage", stage, str(os.getpid()), *beside)
        # Ctrl-C is for us to hand on, once the child is ready for it: in a session of its own it does not hear it.
        child = await asyncio.create_subprocess_exec(*command, start_new_session=True, pass_fds=report.handed())
        telemetry.STAGE_STARTED(stage=stage, pid=child.pid, answers_at=answers_at)
        if await _ended(child, stop):
            if child.returncode == USAGE:
                stop.set()
                return USAGE
            pause_s = pause_after(pause_s, ran_s=time.monotonic() - started_at)
            telemetry.STAGE_ENDED(stage=stage, code=child.returncode, again_in_s=pause_s)
            report.tell(stage, "ended", code=child.returncode or 0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_s)
        else:
            await _end(child, stop_timeout_s)
    return 0


async def _ended(child: asyncio.subprocess.Process, stop: asyncio.Event) -> bool:
    """Wait until the child ends by itself (true), or until we are to stop (false)."""
    waits = [asyncio.ensure_future(child.wait()), asyncio.ensure_future(stop.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    return child.returncode is not None


async def _end(child: asyncio.subprocess.Process, stop_timeout_s: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        # The stage has `stop_timeout_s` of its own; only one that hangs is killed, which loses nothing either.
        await asyncio.wait_for(child.wait(), stop_timeout_s + 5)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
