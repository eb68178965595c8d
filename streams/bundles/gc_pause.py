"""Keeps Python's cycle collector away from a large bundle: it has no cycles, and references by the million.

One collection looks at each of them, and holds up all threads meanwhile, the event loop's too.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

BUNDLE_BYTES_MIN = 32 * 2**20

_pauses: list[int] = []


@contextmanager
def paused_for(bundle_bytes: int) -> Iterator[None]:
    """Collect nothing while this is open, if the bundle is large."""
    if bundle_bytes < BUNDLE_BYTES_MIN:
        yield
        return
    _pauses.append(bundle_bytes)
    gc.disable()
    try:
        yield
    finally:
        _pauses.remove(bundle_bytes)
        if not _pauses:
            gc.enable()
