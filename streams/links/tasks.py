"""Start the tasks of the stage. Each serves many links, so none may die in silence: the stage ends with it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Parts:
    """Starts tasks, and calls `end` with what one of them dies of."""

    def __init__(self, end: Callable[[BaseException], object]) -> None:
        self._end = end

    def start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Return the task that does `work`."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._look)
        return task

    def _look(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end(error)
