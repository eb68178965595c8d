"""Ports on the loopback address."""

import socket
from contextlib import ExitStack
from pathlib import Path

from cli.broker import record
from models import privacy

LOOPBACK = "127.0.0.1"

# Kafka's own, and where Linux begins with those that it gives to whoever asks for any.
FIRST, LAST = 9092, 32768


def kept(folder: Path) -> int:
    """Return the port that the broker of this folder has at every start: 9092, or the next that is free, remembered."""
    running = record.read(folder) if record.is_locked(folder) else None
    if running is not None:
        return int(running.bootstrap_servers.rpartition(":")[2])
    file = folder / "port"
    known = file.read_text().strip() if file.exists() else ""
    first = int(known) if known.isdigit() and 0 < int(known) <= LAST else FIRST
    port = next((each for each in (*range(first, LAST), *range(FIRST, first)) if is_free(each)), first)
    privacy.keep(folder)
    file.write_text(f"{port}\n")
    return port


def is_free(port: int) -> bool:
    """Say whether nobody listens on the port."""
    with socket.socket() as listener:
        # As Kafka does: a connection of the last run that still lingers does not make a port taken.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free(count: int) -> list[int]:
    """Return as many different ports as asked for that nobody listens on at this moment."""
    with ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind((LOOPBACK, 0))
        return [int(listener.getsockname()[1]) for listener in listeners]
