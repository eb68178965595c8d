"""Read ahead: collect the pieces that arrive while the last batch is being used, so that receiving never waits."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable


async def read_ahead(pieces: AsyncIterator[bytes], bytes_max: Callable[[], int]) -> AsyncGenerator[list[bytes]]:
    """Yield all `pieces` in batches, each what came while the last one was used.

    Asks for no more pieces while `bytes_max()` are waiting. Raises what `pieces` raises, after what came before.
    """
    waiting: list[bytes] = []
    came, taken = asyncio.Event(), asyncio.Event()

    async def receive() -> None:
        async for piece in pieces:
            waiting.append(piece)
            came.set()
            if sum(map(len, waiting)) >= bytes_max():
                taken.clear()
                await taken.wait()

    receiving = asyncio.create_task(receive())
    receiving.add_done_callback(lambda _: came.set())
    try:
        while waiting or not receiving.done():
            await came.wait()
            came.clear()
            batch = waiting.copy()
            waiting.clear()
            taken.set()
            if batch:
                yield batch
        await receiving
    finally:
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
