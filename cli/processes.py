"""The service's own processes as children of this one: they end with it, however it ends."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp

from cli.broker.errors import StartFailed
from cli.broker.launcher import end_with_parent

STOP_TIMEOUT_S = 30.0
READY_TIMEOUT_S = 60.0
LOG_TAIL_LINES = 5


@contextlib.asynccontextmanager
async def child(
    *arguments: str, environment: Mapping[str, str], log: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `metriport-streams <arguments>` for a while; its log goes to `log`, or to this terminal."""
    with contextlib.ExitStack() as files:
        errors = files.enter_context(log.open("ab")) if log else None
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli",
            *arguments,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
            # Ctrl-C is for us to hand on: in order, and once.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await _end(process)


async def run(*arguments: str, environment: Mapping[str, str], log: Path) -> None:
    """Run `metriport-streams <arguments>` to its end; raise `StartFailed` with its last lines if it fails."""
    async with child(*arguments, environment=environment, log=log) as process:
        if await process.wait():
            raise StartFailed(f"`metriport-streams {' '.join(arguments)}` failed: {last_lines(log)}")


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


def last_lines(log: Path) -> str:
    """Return the end of a log, for a person who must find out why something did not work."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
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
