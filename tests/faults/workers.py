"""The workers of one stage, each a process with a state folder of its own, to be started and hurt."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Workers:
    """Starts them, ends them in any way, and knows how they ended."""

    def __init__(self, stage: str, environment: Mapping[str, str], folder: Path) -> None:
        self.stage = stage
        self.done: Counter[str] = Counter()
        self.log = folder / f"{stage}.log"
        self._environment = environment
        self._folder = folder / stage
        self._running: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, name: str) -> None:
        """Start a worker on its folder, whatever that holds."""
        with self.log.open("ab") as log:
            self._running[name] = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "streams.stage", self.stage, str(os.getpid())),
                cwd=ROOT,
                env={**os.environ, **self._environment, "STATE_DIR": str(self._folder / name)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def kill(self, name: str, *, wiped: bool) -> None:
        """Kill a worker, take its folder away if asked, and start it again."""
        await self._end(name, signal.SIGKILL)
        self.done["kills"] += 1
        if wiped:
            self.done["wiped"] += 1
            await asyncio.to_thread(shutil.rmtree, self._folder / name, ignore_errors=True)
        await self.start(name)

    async def join_or_leave(self, name: str) -> None:
        """Start a worker that is not there, or ask one that is to end."""
        if name not in self._running:
            self.done["joins"] += 1
            await self.start(name)
            return
        self.done["leaves"] += 1
        self.done[f"left with exit code {await self._end(name, signal.SIGTERM)}"] += 1

    async def revive(self) -> None:
        """Start again what ended by itself, as a supervisor would."""
        for name, process in list(self._running.items()):
            if process.returncode is not None:
                self.done[f"ended by itself with exit code {process.returncode}"] += 1
                await self.start(name)

    def codes(self) -> list[int]:
        """Return the exit codes of those that ended by themselves."""
        return [process.returncode for process in self._running.values() if process.returncode is not None]

    def memory_mb(self) -> list[int]:
        """Return the most memory that each one that runs has had."""
        statuses = [Path(f"/proc/{process.pid}/status").read_text() for process in self._running.values()]
        return [int(line.split()[1]) // 1024 for text in statuses for line in text.splitlines() if "VmHWM" in line]

    async def close(self) -> None:
        """End all of them for good."""
        for name in list(self._running):
            await self._end(name, signal.SIGKILL)

    async def _end(self, name: str, number: signal.Signals) -> int:
        process = self._running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        return await process.wait()
