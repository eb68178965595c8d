"""When the garbage collector runs, and when it does not."""

import gc

import pytest

from models import tuning


@pytest.fixture(autouse=True)
def _collecting():
    assert gc.isenabled()
    yield
    gc.enable()


def test_nothing_is_collected_during_a_large_bundle():
    with tuning.collector_paused_for(tuning.LARGE_BYTES_MIN):
        paused = not gc.isenabled()

    assert paused
    assert gc.isenabled()


def test_a_small_bundle_changes_nothing():
    with tuning.collector_paused_for(tuning.LARGE_BYTES_MIN - 1):
        assert gc.isenabled()


def test_the_collector_is_back_only_after_the_last_of_several_large_bundles():
    with tuning.collector_paused_for(tuning.LARGE_BYTES_MIN):
        with tuning.collector_paused_for(tuning.LARGE_BYTES_MIN):
            pass
        paused = not gc.isenabled()

    assert paused
    assert gc.isenabled()
