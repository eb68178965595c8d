"""An iterator in a thread of its own, some items at a time."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from streams.concurrency import in_helpings


@pytest.fixture
def threads():
    with ThreadPoolExecutor(1) as made:
        yield made


@pytest.mark.parametrize("items", [0, 1, 3, 4, 9])
async def test_every_item_comes_once_and_in_order(threads, items):
    assert [item async for item in in_helpings(iter(range(items)), threads, count=3)] == list(range(items))


async def test_what_came_before_an_error_comes_before_the_error(threads):
    def breaks():
        yield from (1, 2)
        raise LookupError

    helpings = in_helpings(breaks(), threads, count=5)

    assert [await anext(helpings), await anext(helpings)] == [1, 2]
    with pytest.raises(LookupError):
        await anext(helpings)


async def test_the_event_loop_turns_while_an_item_is_made(threads):
    turned = threading.Event()

    def waits():
        yield turned.wait(20)

    asyncio.get_running_loop().call_later(0.01, turned.set)

    assert [item async for item in in_helpings(waits(), threads, count=1)] == [True]
