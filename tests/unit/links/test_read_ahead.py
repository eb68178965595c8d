"""Reading ahead: what came meanwhile is the next batch."""

import asyncio
from contextlib import aclosing

import pytest

from streams.links.fetching.read_ahead import read_ahead

MAX = 1000


class Source:
    """Gives what the test feeds, and tells how far it was asked."""

    def __init__(self):
        self.queue = asyncio.Queue()
        self.asked = 0
        self.ended = asyncio.Event()

    def feed(self, *pieces):
        for piece in pieces:
            self.queue.put_nowait(piece)

    async def pieces(self):
        try:
            while True:
                self.asked += 1
                piece = await self.queue.get()
                if piece is None:
                    return
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.ended.set()


@pytest.fixture
def source():
    return Source()


async def settled():
    """Let everything run that can: nothing here waits for anything but each other."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("sizes", [[], [1], [1, 2, 3], [MAX], [3 * MAX], [700] * 20, [0, 1]])
async def test_all_pieces_come_once_and_in_order(source, sizes):
    pieces = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    source.feed(*pieces, None)

    batches = [batch async for batch in read_ahead(source.pieces(), lambda: MAX)]

    assert [piece for batch in batches for piece in batch] == pieces
    assert all(batches)


async def test_what_came_while_a_batch_was_used_is_the_next_one(source):
    async with aclosing(read_ahead(source.pieces(), lambda: MAX)) as batches:
        source.feed(b"a")
        assert await anext(batches) == [b"a"]
        source.feed(b"b", b"c", b"d")
        await settled()

        assert await anext(batches) == [b"b", b"c", b"d"]


async def test_a_piece_is_not_kept_waiting_for_more(source):
    async with aclosing(read_ahead(source.pieces(), lambda: MAX)) as batches:
        source.feed(b"a")

        assert await anext(batches) == [b"a"]


async def test_no_more_is_asked_for_while_enough_is_waiting(source):
    async with aclosing(read_ahead(source.pieces(), lambda: MAX)) as batches:
        source.feed(b"a")
        await anext(batches)
        source.feed(*[b"x" * 400] * 10)
        await settled()

        assert source.asked == 1 + 3

        assert await anext(batches) == [b"x" * 400] * 3
        await settled()
        assert source.asked == 1 + 3 + 3


@pytest.mark.parametrize("before", [[], [b"a"], [b"a", b"x" * MAX]], ids=["nothing", "a-piece", "as-much-as-may-wait"])
async def test_what_the_pieces_raise_comes_after_what_came_before(source, before):
    source.feed(*before, ValueError("broken"))
    taken = []

    async def take():
        async for batch in read_ahead(source.pieces(), lambda: MAX):
            taken.extend(batch)

    with pytest.raises(ValueError, match="broken"):
        await take()
    assert taken == before


async def test_whoever_stops_early_stops_the_pieces_too(source):
    async with aclosing(read_ahead(source.pieces(), lambda: MAX)) as batches:
        source.feed(b"a")
        await anext(batches)

    assert source.ended.is_set()


async def test_whoever_stops_early_stops_pieces_that_wait_for_room_too(source):
    async with aclosing(read_ahead(source.pieces(), lambda: MAX)) as batches:
        source.feed(b"a")
        await anext(batches)
        source.feed(b"x" * MAX, b"y")
        await settled()

    await settled()
    assert source.queue.qsize() == 1


@pytest.mark.parametrize("fed", [[], [b"a"]], ids=["waiting", "using"])
async def test_cancelling_ends_the_pieces_as_well(source, fed):
    source.feed(*fed)

    async def use():
        async with aclosing(read_ahead(source.pieces(), lambda: MAX)) as batches:
            async for _ in batches:
                await asyncio.Event().wait()

    using = asyncio.create_task(use())
    await settled()
    using.cancel()

    with pytest.raises(asyncio.CancelledError):
        await using
    assert source.ended.is_set()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_failure_of_the_user_is_the_one_that_is_seen(source):
    source.feed(b"a", ValueError("of the pieces"))

    async def use():
        async with aclosing(read_ahead(source.pieces(), lambda: MAX)) as batches:
            async for _ in batches:
                await settled()
                raise KeyError

    with pytest.raises(KeyError):
        await use()
