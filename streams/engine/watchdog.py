"""Ends the process from a thread of its own when it is stuck: a stage that does nothing is worse than a restart."""

import threading
import time
from collections.abc import Callable
from typing import NoReturn


class Watchdog:
    """Looks every few seconds whether the event loop turns and whether the work moves."""

    def __init__(
        self,
        *,
        stuck_s: Callable[[], float],
        timeout_s: float,
        end: Callable[[str], NoReturn],
        blame: Callable[[bool], None] = lambda _: None,
        every_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stuck_s = stuck_s
        self._timeout_s = timeout_s
        self._end = end
        self._blame = blame
        self._every_s = every_s
        self._clock = clock
        self._beat_at = clock()

    def beat(self) -> None:
        """Say that the event loop turns; call this from it, more often than the timeout."""
        self._beat_at = self._clock()

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def look(self) -> None:
        """End the process if it is stuck now."""
        silent_s = self._clock() - self._beat_at
        if silent_s > self._timeout_s:
            self._blame(False)  # noqa: FBT003 - whether the loop turns
            self._end(f"the event loop has not turned for {silent_s:.0f} s")
        if (stuck_s := self._stuck_s()) > self._timeout_s:
            self._blame(True)  # noqa: FBT003
            self._end(f"nothing has moved for {stuck_s:.0f} s, although there is work")

    def _run(self) -> None:
        while True:
            time.sleep(self._every_s)
            self.look()
