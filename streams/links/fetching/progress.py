"""Note how the fetch of one link is doing."""

import time

from streams.links import events
from streams.links.limits import FetchLimits


class Progress:
    """What one fetch has received since it began."""

    def __init__(self) -> None:
        self.bytes = 0
        self.retries = 0
        self._started_s = time.monotonic()

    def received(self, byte_count: int) -> None:
        """Note bytes from the network."""
        self.bytes += byte_count
        events.RECEIVED(byte_count)

    def failed(self) -> None:
        """Note that an attempt failed and another one follows."""
        self.retries += 1
        events.RETRIED()

    def is_slow(self, limits: FetchLimits) -> bool:
        """Return whether the fetch gives its place to others: it is retried, or less came than should have by now."""
        passed_s = time.monotonic() - self._started_s
        return bool(self.retries) or (
            passed_s >= limits.slow_after_s and self.bytes < passed_s * limits.slow_bytes_per_s
        )
