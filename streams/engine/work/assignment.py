"""Holds what belongs to one assignment: from when partitions come until the revoke."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

from models.errors import MetriportStreamsError
from streams.engine.log.output_tails import Tails

T = TypeVar("T")


class Interrupted(MetriportStreamsError):
    """The partitions were revoked in the middle of long work; the next owner reads the record again."""


class Assignment:
    """Which partition numbers are ours, and what their outputs' tails said; over once `ended` is set."""

    def __init__(self, tails: dict[int, Tails]) -> None:
        self.tails = tails
        self.ended = asyncio.Event()

    def owns(self, partition: int) -> bool:
        """Return whether this partition number is ours now."""
        return partition in self.tails and not self.ended.is_set()


async def until_ended(steps: AsyncGenerator[T, None], assignment: Assignment) -> AsyncGenerator[T, None]:
    """Yield what `steps` yields; when the assignment ends, cancel it where it waits and raise `Interrupted`."""
    ended = asyncio.ensure_future(assignment.ended.wait())
    task = asyncio.current_task()
    name = task.get_name() if task else None
    try:
        while True:
            # Under the name of the task that waits for it: by that the watchdog finds the work that blocks the loop.
            following = asyncio.create_task(_following(steps), name=name)
            await asyncio.wait({following, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                following.cancel()
                await asyncio.wait({following})
                _ = following.cancelled() or following.exception()
                raise Interrupted
            if not (found := following.result()):
                return
            yield found[0]
    finally:
        ended.cancel()
        await steps.aclose()


async def _following(steps: AsyncGenerator[T, None]) -> tuple[T] | None:
    async for step in steps:
        return (step,)
    return None
