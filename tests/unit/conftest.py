"""Every record that a unit test writes to a topic of the service is one that the topic's readers were promised."""

import pytest

from tests.unit import contract


@pytest.fixture(autouse=True)
def promises_are_kept():
    contract.BREACHES.clear()
    yield
    assert sorted(set(contract.BREACHES)) == []
