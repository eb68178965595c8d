"""The steps of a start: room and port checked, the best source chosen, its process watched until it answers."""

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from cli.broker import diagnosis, ports, process, record, sources
from cli.broker.errors import DiskFull, PortTaken, StartFailed
from cli.broker.launch import Launch
from cli.broker.readiness import wait_for_metadata

LOG = "broker.log"
DISK_FREE_BYTES_MIN = 256 * 1024 * 1024
POLL_S = 0.05


def made(data_dir: Path) -> Path:
    """Return the data folder, which is there from now on, as an absolute path."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise StartFailed(f"The folder {data_dir} cannot be made: {problem.strerror}.") from None
    return data_dir.absolute()


def prepared(data_dir: Path, port: int | None, say: Callable[[str], None]) -> tuple[str, Launch]:
    """Check what can be checked before, clean up after a killed run, and return the source's name and its command."""
    _check_room(data_dir)
    if port is not None and not ports.is_free(port):
        raise PortTaken(f"Port {port} is taken. Choose another with --port, or leave it out to get a free one.")
    if record.read(data_dir):
        say("The broker of an earlier run was killed; its data is kept, and checked by Kafka as it starts.")
        record.remove(data_dir)
    source = sources.best()
    log = data_dir / LOG
    log.write_bytes(b"")
    launch = source.prepare(data_dir, port, log, say)
    say(f"Starting a Kafka of our own ({source.name}), data in {data_dir} ...")
    return source.name, launch


async def ready(data_dir: Path, source: str, launch: Launch, started: process.Process, *, timeout_s: float) -> str:
    """Return the address when a client gets metadata there.

    A broker that does not answer in time, or that nobody waits for any more, is ended.
    """
    deadline = time.monotonic() + timeout_s
    answered = False
    try:
        servers = f"{ports.LOOPBACK}:{await _port(data_dir, launch, deadline)}"
        record.write(
            data_dir,
            record.Record(
                pid=started.pid,
                launcher_pid=started.launcher_pid,
                tied=started.launcher is not None,
                source=source,
                bootstrap_servers=servers,
            ),
        )
        answered = await wait_for_metadata(servers, deadline=deadline, alive=lambda: record.is_locked(data_dir))
    finally:
        if not answered:
            await process.end(data_dir, started.pid, timeout_s=0)
            record.remove(data_dir)
            if started.launcher is not None:
                process.release(started.launcher)
    if not answered:
        raise diagnosis.why(data_dir / LOG, port=launch.port, timeout_s=timeout_s)
    return servers


async def _port(data_dir: Path, launch: Launch, deadline: float) -> int:
    if launch.port_file is None:
        return launch.port or 0
    while record.is_locked(data_dir) and time.monotonic() < deadline:
        if launch.port_file.exists():
            return int(launch.port_file.read_text())
        await asyncio.sleep(POLL_S)
    return 0


def _check_room(data_dir: Path) -> None:
    free_bytes = shutil.disk_usage(data_dir).free
    if free_bytes < DISK_FREE_BYTES_MIN:
        raise DiskFull(
            f"Only {free_bytes >> 20} MiB are free for {data_dir}; a broker needs {DISK_FREE_BYTES_MIN >> 20} MiB. "
            "Make room or choose another folder with --data-dir."
        )
