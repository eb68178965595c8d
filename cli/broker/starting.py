"""The steps of a start: room and port checked, the process watched until it answers, and why if it does not."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from cli.broker import kafka, ports, process, record
from cli.broker.errors import BrokerError, DiskFull, PortTaken, StartFailed
from cli.broker.kafka import Launch
from cli.broker.readiness import wait_for_metadata
from models import privacy

LOG = "broker.log"
DISK_FREE_BYTES_MIN = 256 * 1024 * 1024
LOG_BYTES_MAX = 1_000_000


def made(data_dir: Path) -> Path:
    """Return the data folder, which is there from now on, as an absolute path."""
    try:
        privacy.keep(data_dir)
    except OSError as problem:
        raise StartFailed(f"The folder {data_dir} cannot be made: {problem.strerror}.") from None
    return data_dir.absolute()


def prepared(data_dir: Path, port: int | None, say: Callable[[str], None]) -> Launch:
    """Check what can be checked before, clean up after a killed run, and return the command that becomes a broker."""
    _check_room(data_dir)
    if port is not None and not ports.is_free(port):
        raise PortTaken(f"Port {port} is taken. Choose another with --port, or leave it out to get a free one.")
    if record.read(data_dir):
        say("The broker of an earlier run was killed; its data is kept, and checked by Kafka as it starts.")
        record.remove(data_dir)
    log = data_dir / LOG
    log.write_bytes(b"")
    launch = kafka.prepare(data_dir, port, log, say)
    say(f"Starting a Kafka of our own, data in {data_dir} ...")
    return launch


async def ready(data_dir: Path, launch: Launch, started: process.Process, *, timeout_s: float) -> str:
    """Return the address when a client gets metadata there.

    A broker that does not answer in time, or that nobody waits for any more, is ended.
    """
    deadline = time.monotonic() + timeout_s
    answered = False
    try:
        servers = f"{ports.LOOPBACK}:{launch.port}"
        record.write(
            data_dir,
            record.Record(
                pid=started.pid,
                launcher_pid=started.launcher_pid,
                tied=started.launcher is not None,
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
        raise why(data_dir / LOG, port=launch.port, timeout_s=timeout_s)
    return servers


def why(log: Path, *, port: int, timeout_s: float) -> BrokerError:
    """Return the error that the end of a broker's log tells of."""
    with log.open("rb") as said:
        text = said.read(LOG_BYTES_MAX).decode(errors="replace")
    if "Address already in use" in text:
        return PortTaken(f"Port {port} is taken. Choose another with --port, or leave it out to get a free one.")
    if "No space left on device" in text:
        return DiskFull(f"The disk with {log.parent} is full. Make room or choose another folder with --data-dir.")
    return StartFailed(f"The broker ended, or did not answer within {timeout_s:.0f} s. Its own words are in {log}.")


def _check_room(data_dir: Path) -> None:
    free_bytes = shutil.disk_usage(data_dir).free
    if free_bytes < DISK_FREE_BYTES_MIN:
        raise DiskFull(
            f"Only {free_bytes >> 20} MiB are free for {data_dir}; a broker needs {DISK_FREE_BYTES_MIN >> 20} MiB. "
            "Make room or choose another folder with --data-dir."
        )
