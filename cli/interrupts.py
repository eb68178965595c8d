"""Ctrl-C and SIGTERM for commands that have others to end: the first one ends them in order, more change nothing."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")


def run(work: Coroutine[Any, Any, _Answer]) -> _Answer | None:
    """Run `work` to its end and return its answer; None if a signal ended it, by cancelling it once."""
    # Until the loop listens there is nothing to end in order.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return asyncio.run(_until_told(work))


async def _until_told(work: Coroutine[Any, Any, _Answer]) -> _Answer | None:
    task = asyncio.ensure_future(work)
    told = False

    def tell() -> None:
        nonlocal told
        if not told:
            told = True
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, tell)
    try:
        return await task
    except asyncio.CancelledError:
        if not told:
            raise
        return None
    finally:
        # The loop gives Ctrl-C back to Python, which has a traceback for it. All that is left is to end.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
