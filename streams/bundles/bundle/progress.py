"""Tell the engine that the work on a bundle moves, and stop that work once nobody waits for it."""

from collections.abc import Callable
from threading import Event

from models.errors import MetriportStreamsError


class Unwanted(MetriportStreamsError):
    """Nobody waits for this bundle any more: the work on it may stop."""


class Progress:
    """Shared by all threads that work on one bundle; none of them can be ended from outside."""

    def __init__(self, moved: Callable[[], None] = lambda: None) -> None:
        self._moved = moved
        self._unwanted = Event()

    def give_up(self) -> None:
        """End the work on the bundle at its next move."""
        self._unwanted.set()

    def moved(self) -> None:
        """Say that some bytes were read, or a resource was looked at; raise `Unwanted` if that is in vain."""
        if self._unwanted.is_set():
            raise Unwanted
        self._moved()
