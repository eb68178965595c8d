"""What fetches share."""

import pytest

from streams.links.limits import KIB, MIB, FetchLimits


@pytest.mark.parametrize(("fetches", "share"), [(1, 8 * MIB), (16, 8 * MIB), (64, 2 * MIB), (10_000, 256 * KIB)])
def test_many_fetches_share_the_memory_that_few_have_each(fetches, share):
    assert FetchLimits(waiting_bytes_max=128 * MIB).waiting_bytes_of_one(fetches) == share
