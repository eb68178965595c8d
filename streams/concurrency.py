"""Runs an iterator in a thread, some items at a time: every way to a thread and back has its price."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


async def in_helpings(items: Iterator[Item], threads: Executor | None, *, count: int) -> AsyncGenerator[Item, None]:
    """Yield all `items`, made in one of `threads`, `count` at a time; raise what they raise, after what came before.

    Without `threads` it is one of the event loop's own.
    """
    loop = asyncio.get_running_loop()
    while True:
        helping, error = await loop.run_in_executor(threads, _next, items, count)
        for item in helping:
            yield item
        if error is not None:
            raise error
        if len(helping) < count:
            return


def _next(items: Iterator[Item], count: int) -> tuple[list[Item], Exception | None]:
    helping: list[Item] = []
    try:
        helping.extend(islice(items, count))
    except Exception as error:  # noqa: BLE001 - raised where the items are used
        return helping, error
    return helping, None
