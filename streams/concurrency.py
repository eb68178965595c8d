"""Iterate over a blocking iterator in a thread, several items per hop: each switch of threads has its price."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Executor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


async def iterate_in_thread(
    items: Iterator[Item], executor: Executor | None, *, batch: int = 8
) -> AsyncGenerator[Item, None]:
    """Yield all `items`, made in a thread of `executor`, `batch` at a time; raise what they raise, after the others.

    Without `executor`, the thread is one of the event loop's own.
    """
    loop = asyncio.get_running_loop()
    while True:
        made, error = await loop.run_in_executor(executor, _next, items, batch)
        for item in made:
            yield item
        if error is not None:
            raise error
        if len(made) < batch:
            return


def _next(items: Iterator[Item], count: int) -> tuple[list[Item], Exception | None]:
    made: list[Item] = []
    try:
        made.extend(islice(items, count))
    except Exception as error:  # noqa: BLE001 - raised where the items are used
        return made, error
    return made, None
