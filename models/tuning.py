"""Set Python's garbage collector and the C library's allocator: the one place that does, for every process.

Requests, records and resources make many short-lived objects and few cycles, so looking for cycles every 700
allocations, as Python does by default, is much of what they cost.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# How much is bundle, and how much is worth a pause: a smaller one is done before a collection would begin.
LARGE_BYTES_MIN = 32 * 2**20
MANY_MIN = 20_000

_pauses: list[int] = []


def freeze() -> None:
    """Take all objects there are now out of the collector's sight: what was imported lives as long as the process.

    In a fork server this also keeps its memory shared, as collecting writes to each object that it looks at.
    """
    gc.collect()
    gc.freeze()


def collect_seldom(allocations: int) -> None:
    """Look for cycles among the youngest objects only once there are so many more of them."""
    gc.set_threshold(allocations, 20, 50)


@contextmanager
def collector_paused_for(byte_count: int) -> Iterator[None]:
    """Collect nothing while this is open, if as many bytes are parsed meanwhile as a large bundle has.

    It has no cycles, and references by the million: one collection looks at each of them, and holds up all threads
    meanwhile, the event loop's too.
    """
    if byte_count < LARGE_BYTES_MIN:
        yield
        return
    _pauses.append(byte_count)
    gc.disable()
    try:
        yield
    finally:
        _pauses.remove(byte_count)
        if not _pauses:
            gc.enable()


def free_one_by_one(*containers: dict[Any, Any] | list[Any]) -> None:
    """Empty containers that nobody needs any more, item by item, if they have `MANY_MIN` items or more.

    To free a million objects at once, as Python does with a container's last reference, would hold up all threads.
    """
    for container in containers:
        if len(container) < MANY_MIN:
            continue
        take = container.popitem if isinstance(container, dict) else container.pop
        while container:
            take()


def raise_mmap_threshold(byte_count: int) -> None:
    """Have glibc serve blocks of up to `byte_count` bytes from its heap, instead of mapping new pages for each.

    Freeing a mapped block raises the threshold to its size, up to 32 MiB, and lets the heap keep twice that
    (M_MMAP_THRESHOLD, https://man7.org/linux/man-pages/man3/mallopt.3.html). Elsewhere this does nothing.
    """
    block = bytes(byte_count)  # never written to, so it takes no memory itself
    del block
