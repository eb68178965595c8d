"""Starting, finding and ending the one broker of a data folder."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cli.broker import process, record, starting
from cli.broker.errors import AlreadyRunning, PortTaken, Unreachable
from cli.broker.readiness import answers, somebody_listens

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
PORT_TRIES = 3

State = Literal["running", "starting", "stopped", "killed", "silent"]


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A broker that answers. `pid` is the process that serves, the one to signal in a test of faults."""

    bootstrap_servers: str
    pid: int | None = None
    data_dir: Path | None = None
    launcher: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    async def stop(self, *, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End the broker if this process started it as its own; leave any other running."""
        if self.launcher is None or self.data_dir is None:
            return
        await stop(self.data_dir, timeout_s=timeout_s)
        process.release(self.launcher)


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is known about a data folder's broker.

    `killed`: the last one did not end by request. `silent`: it lives and does not answer.
    """

    state: State
    bootstrap_servers: str | None = None
    pid: int | None = None


def quiet(_line: str) -> None:
    """Say nothing."""


async def start(
    data_dir: Path,
    *,
    port: int | None = None,
    tied: bool = True,
    say: Callable[[str], None] = quiet,
    timeout_s: float = START_TIMEOUT_S,
) -> Broker:
    """Start a broker with its data in `data_dir` and return when a client gets metadata.

    A tied broker ends with this process, however that ends; one that is not runs on until `stop`. If a broker that
    runs on its own has the folder already, that one is returned. `say` gets lines for a person.
    """
    for _ in range(PORT_TRIES - 1):
        try:
            return await _start_once(data_dir, port, tied=tied, say=say, timeout_s=timeout_s)
        except PortTaken:
            # Between finding a free port and using it, somebody else may have taken it.
            if port is not None:
                raise
    return await _start_once(data_dir, port, tied=tied, say=say, timeout_s=timeout_s)


async def stop(data_dir: Path, *, timeout_s: float = STOP_TIMEOUT_S) -> bool:
    """End the folder's broker, asked first and then made to; return whether there was one."""
    running = record.is_locked(data_dir)
    known = record.read(data_dir)
    if running and known is None:
        raise AlreadyRunning(f"Another run is just starting a broker in {data_dir}; try again in a moment.")
    if running and known and not await process.end(data_dir, known.pid, timeout_s=timeout_s):
        raise AlreadyRunning(f"The broker (process {known.pid}) does not end; it may belong to another user.")
    record.remove(data_dir)
    return running


async def status(data_dir: Path) -> Status:
    """Return what is known about the folder's broker, asking it for metadata."""
    running, known = record.is_locked(data_dir), record.read(data_dir)
    if known is None:
        return Status(state="starting" if running else "stopped")
    state: State = "killed"
    if running:
        state = "running" if await answers(known.bootstrap_servers) else "silent"
    return Status(state=state, bootstrap_servers=known.bootstrap_servers, pid=known.pid)


@asynccontextmanager
async def running(
    data_dir: Path, *, given: str | None = None, port: int | None = None, say: Callable[[str], None] = quiet
) -> AsyncIterator[Broker]:
    """Have a Kafka for a while: the `given` one if it answers, else one of our own that ends with the block."""
    if given:
        # A given one may want credentials, so only its port is asked.
        if not await somebody_listens(given):
            raise Unreachable(f"No Kafka answers at {given}.")
        yield Broker(bootstrap_servers=given)
        return
    broker = await start(data_dir, port=port, say=say)
    try:
        yield broker
    finally:
        await broker.stop()


async def _found(data_dir: Path, say: Callable[[str], None]) -> Broker | None:
    """Return the broker that lives on the folder if it may be shared; end it if those it belonged to are gone."""
    known = record.read(data_dir)
    if known is None:
        raise AlreadyRunning(f"Another run is just starting a broker in {data_dir}; try again in a moment.")
    if known.tied and not process.exists(known.launcher_pid):
        say(f"Ending the broker (process {known.pid}) that a killed run left behind ...")
        await stop(data_dir)
        return None
    if known.tied:
        raise AlreadyRunning(
            f"A broker (process {known.pid}) that belongs to another run uses {data_dir}. "
            "End that run, or use `metriport-streams broker stop`."
        )
    if not await answers(known.bootstrap_servers):
        raise AlreadyRunning(
            f"The broker (process {known.pid}) of {data_dir} does not answer. Use `metriport-streams broker stop`."
        )
    say(f"Using the broker that runs already at {known.bootstrap_servers}.")
    return Broker(bootstrap_servers=known.bootstrap_servers, pid=known.pid, data_dir=data_dir)


async def _start_once(
    data_dir: Path, port: int | None, *, tied: bool, say: Callable[[str], None], timeout_s: float
) -> Broker:
    data_dir = await asyncio.to_thread(starting.made, data_dir)
    lock = record.take_lock(data_dir)
    if lock is None:
        found = await _found(data_dir, say)
        if found is not None:
            return found
        lock = record.take_lock(data_dir)
    if lock is None:
        raise AlreadyRunning(f"Another run is just starting a broker in {data_dir}.")
    try:
        launch = await asyncio.to_thread(starting.prepared, data_dir, port, say)
        started = process.spawn(launch.command, tied=tied, lock=lock, log=data_dir / starting.LOG)
    finally:
        # From here on only the broker itself holds the lock.
        os.close(lock)
    servers = await starting.ready(data_dir, launch, started, timeout_s=timeout_s)
    return Broker(bootstrap_servers=servers, pid=started.pid, data_dir=data_dir, launcher=started.launcher)
