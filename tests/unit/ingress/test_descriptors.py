"""How file descriptors are shared out; the limit itself is raised by the process, in the drills."""

import pytest

from ingress.descriptors import BACKLOG, OWN, shared_out


@pytest.mark.parametrize("limit", [1_000_000, 20_000, 1000 + BACKLOG + OWN])
def test_a_limit_that_is_high_enough_allows_all_connections(limit):
    assert shared_out(limit, connections_max=1000) == (1000, BACKLOG)


@pytest.mark.parametrize("limit", [2000, 1024, 512, 256, 128, 70])
def test_a_lower_limit_allows_fewer_and_never_more_than_there_are_descriptors(limit):
    connections, backlog = shared_out(limit, connections_max=1000)

    assert 0 < connections < 1000
    assert backlog > 0
    assert connections + backlog + OWN <= limit
