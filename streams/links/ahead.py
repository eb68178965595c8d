"""Working one item ahead: the next one is made while the last one is used."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

Item = TypeVar("Item")


async def ahead(items: AsyncIterator[Item]) -> AsyncIterator[Item]:
    """Yield what `items` yields, asking for the next item before the last one is used."""
    following = asyncio.ensure_future(anext(items, None))
    try:
        while (item := await following) is not None:
            following = asyncio.ensure_future(anext(items, None))
            yield item
    finally:
        following.cancel()
        await asyncio.wait([following])
