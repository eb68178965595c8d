"""Ports on the loopback address."""

import socket
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"


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
