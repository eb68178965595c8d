"""The service's own processes as children of this one: they end with it, however it ends."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

import aiohttp

from cli.broker.errors import StartFailed
from cli.broker.launcher import end_with_parent
from models import report

STOP_TIMEOUT_S = 30.0
READY_TIMEOUT_S = 60.0
LOG_TAIL_LINES = 5
LOG_TAIL_BYTES = 64 * 2**10

USAGE = 2


class Report(NamedTuple):
    """What became of a process: it says `ready` itself; one that `ended` starts again, one that is `gone` does not."""

    process: str
    state: str
    code: int = 0


class Reports:
    """What the children of this process, and theirs, say of themselves, and when one is gone."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        # A child must not wait for us to read.
        os.set_blocking(self.writing, False)
        self._found: asyncio.Queue[Report] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks.append(asyncio.create_task(self._read()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        os.close(self.writing)

    def watch(self, name: str, process: asyncio.subprocess.Process) -> None:
        """Tell of this child, too, when it is gone."""

        async def wait() -> None:
            self._found.put_nowait(Report(name, "gone", await process.wait()))

        self._tasks.append(asyncio.create_task(wait()))

    async def next(self, *, timeout_s: float | None = None) -> Report | None:
        """Return what is told next; None if that is nothing for so long."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self._found.get(), timeout_s)
        return None

    async def _read(self) -> None:
        lines = asyncio.StreamReader()
        with os.fdopen(self._reading, "rb") as pipe:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(lines), pipe
            )
            try:
                while line := await lines.readline():
                    self._found.put_nowait(Report(**json.loads(line)))
            finally:
                transport.close()


class Gone(StartFailed):
    """A process that the service cannot do without ended."""

    def __init__(self, report: Report, said: str) -> None:
        super().__init__(f"The {report.process} ended (exit code {report.code}): {said}")
        self.exit_code = USAGE if report.code == USAGE else 1


@contextlib.asynccontextmanager
async def child(
    *arguments: str, environment: Mapping[str, str], log: Path | None = None, reports: Reports | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `metriport-streams <arguments>` for a while; its log goes to `log`, or to this terminal."""
    told = {report.VARIABLE: str(reports.writing)} if reports else {}
    with contextlib.ExitStack() as files:
        errors = files.enter_context(log.open("ab")) if log else None
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli",
            *arguments,
            env={**os.environ, **environment, **told},
            pass_fds=(reports.writing,) if reports else (),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
            # Ctrl-C is for us to hand on: in order, and once.
            start_new_session=True,
        )
    try:
        if reports:
            reports.watch(arguments[0], process)
        yield process
    finally:
        await _end(process)


async def run(*arguments: str, environment: Mapping[str, str], log: Path) -> None:
    """Run `metriport-streams <arguments>` to its end; raise `StartFailed` with its last lines if it fails."""
    start = size(log)
    async with child(*arguments, environment=environment, log=log) as process:
        if await process.wait():
            raise StartFailed(f"`metriport-streams {' '.join(arguments)}` failed: {last_lines(log, start=start)}")


async def wait_until_ready(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    """Wait until `url` answers 200; raise `StartFailed` with the log's last lines if the process ends before."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        for _ in range(int(READY_TIMEOUT_S / 0.1)):
            if process.returncode is not None:
                break
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(url) as response:
                    if response.status == 200:  # noqa: PLR2004 - HTTP's own number
                        return
            await asyncio.sleep(0.1)
    raise StartFailed(f"{url} did not become ready: {last_lines(log)}")


def size(log: Path) -> int:
    """Return how many bytes a log has, to tell later what was added."""
    return log.stat().st_size if log.exists() else 0


def last_lines(log: Path, *, start: int = 0) -> str:
    """Return the end of what a log has from byte `start` on, for a person who must find out why something failed."""
    with log.open("rb") if log.exists() else contextlib.nullcontext() as file:
        if file:
            file.seek(max(start, log.stat().st_size - LOG_TAIL_BYTES))
        lines = file.read().decode(errors="replace").strip().splitlines() if file else []
    return "\n".join(lines[-LOG_TAIL_LINES:]) or "it said nothing"


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
