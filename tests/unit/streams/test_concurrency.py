"""A blocking iterator in a thread, some items at a time."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from streams.concurrency import iterate_in_thread


@pytest.fixture
def threads():
    with ThreadPoolExecutor(1) as made:
        yield made


@pytest.mark.parametrize("items", [0, 1, 3, 4, 9])
async def test_every_item_comes_once_and_in_order(threads, items):
    assert [item async for item in iterate_in_thread(iter(range(items)), threads, batch=3)] == list(range(items))


async def test_what_came_before_an_error_comes_before_the_error(threads):
    def breaks():
        yield from (1, 2)
        raise LookupError

    items = iterate_in_thread(breaks(), threads, batch=5)

    assert [await anext(items), await anext(items)] == [1, 2]
    with pytest.raises(LookupError):
        await anext(items)


async def test_the_event_loop_turns_while_an_item_is_made(threads):
    turned = threading.Event()

    def waits():
        yield turned.wait(20)

    asyncio.get_running_loop().call_later(0.01, turned.set)

    assert [item async for item in iterate_in_thread(waits(), threads, batch=1)] == [True]
