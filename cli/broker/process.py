"""Starting and ending the broker's process."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cli.broker import record

LAUNCHER = Path(__file__).with_name("launcher.py")
KILL_TIMEOUT_S = 5.0
POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Process:
    """A started process; `launcher` is there, and holds the lifeline, if it must not outlive this process."""

    pid: int
    launcher_pid: int
    launcher: subprocess.Popen[bytes] | None


def spawn(command: list[str], *, tied: bool, lock: int, log: Path) -> Process:
    """Start `command` with its output in `log`; it inherits and keeps `lock`."""
    with log.open("ab") as said:
        launcher = subprocess.Popen(  # noqa: S603 - the command is ours
            [sys.executable, "-I", str(LAUNCHER), "tied" if tied else "detached", str(lock), *command],
            stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            pass_fds=[lock],
            # Ctrl-C goes to a terminal's whole group: the broker must outlive those who still use it.
            start_new_session=True,
        )
    assert launcher.stdout is not None
    with launcher.stdout as answer:
        pid = int(answer.readline() or b"0")
    if not tied:
        launcher.wait()
    return Process(pid=pid, launcher_pid=launcher.pid, launcher=launcher if tied else None)


def release(launcher: subprocess.Popen[bytes]) -> None:
    """Let go of the lifeline of a process that has ended, and of its launcher."""
    if launcher.stdin is not None:
        launcher.stdin.close()
    launcher.wait()


def exists(pid: int) -> bool:
    """Say whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def end(data_dir: Path, pid: int, *, timeout_s: float) -> bool:
    """Ask the process that holds the folder's lock to end, then make it; return whether it is gone."""
    for number, patience_s in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, KILL_TIMEOUT_S)):
        # A stopped process cannot hear a request, so it is woken first.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, number)
        if await _unlocked(data_dir, patience_s):
            return True
    return False


async def _unlocked(data_dir: Path, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while record.is_locked(data_dir):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True
