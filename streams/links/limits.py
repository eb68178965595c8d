"""Limit what fetching may take, each limit with its unit in its name."""

from dataclasses import dataclass

KIB = 2**10
MIB = 2**20
GIB = 2**30

# More than that speeds no single fetch up (measured), less slows it down.
_WAITING_BYTES_MAX_OF_ONE = 8 * MIB
_WAITING_BYTES_MIN_OF_ONE = 256 * KIB


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What one worker may spend on links, together and each; `stage.fetch_limits` sets those that an operator can set.

    Only tests set the others: `slow_*`, `rate_*`, `inflate_ratio_*`.
    """

    concurrency: int = 64
    concurrency_per_host: int = 32
    concurrency_per_patient: int = 8

    # A fetch that makes too little progress leaves its place to others and goes on beside them.
    slow_after_s: float = 0.5
    slow_bytes_per_s: int = 50_000
    slow_concurrency: int = 512
    slow_concurrency_per_host: int = 384

    connect_timeout_s: float = 5.0  # to one address; to look up a name and try all its addresses, three times that
    # From the beginning of an attempt to the end of the answer's headers, and again for an error's body.
    answer_timeout_s: float = 30.0
    idle_timeout_s: float = 15.0  # between two blocks of a body
    total_timeout_s: float = 900.0  # of one attempt
    rate_after_s: float = 30.0  # after which a body must have come at `rate_bytes_per_s_min`
    rate_bytes_per_s_min: int = KIB

    bytes_max: int = 2 * GIB  # of one body, as it travels
    inflated_bytes_max: int = 4 * GIB  # of one body, as it is stored
    waiting_bytes_max: int = 128 * MIB  # received and not yet stored, of all fetches
    # Small bodies may be as repetitive as they like: the ratio counts only above `inflate_ratio_after_bytes`.
    inflate_ratio_max: int = 200
    inflate_ratio_after_bytes: int = GIB

    # Of one delivery of an unknown type; 0: none.
    unrecognised_links_max: int = 20

    # Of one bulk result; each becomes a record.
    rows_max: int = 1_000_000

    # How long a finished bundle waits for an older one of the same patient that is still being fetched.
    order_wait_s: float = 30.0

    def waiting_bytes_of_one(self, fetches: int) -> int:
        """Return how many bytes may wait to be stored of each fetch, when there are so many at once."""
        share = self.waiting_bytes_max // fetches
        return max(_WAITING_BYTES_MIN_OF_ONE, min(_WAITING_BYTES_MAX_OF_ONE, share))
