"""Whether the memory of a long run is called level, or not."""

import os
import random

from tests.faults.process_memory import of, roles, trend


def run(mb_at, *, minutes=120, noise_mb=1.0):
    chance = random.Random(1)
    return trend([(minute / 60, mb_at(minute) + chance.gauss(0, noise_mb)) for minute in range(minutes)])


def test_a_process_that_grew_at_first_and_then_no_more_is_level():
    assert run(lambda minute: min(60 + minute * 2, 140)).level


def test_a_process_that_goes_on_growing_is_not_level():
    found = run(lambda minute: 60 + minute * 0.2)

    assert not found.level
    assert 11 < found.mb_per_hour < 13


def test_noise_that_could_hide_growth_is_not_called_level():
    assert not run(lambda _: 100, noise_mb=40).level


def test_too_few_samples_say_nothing():
    assert run(lambda _: 100, minutes=10) is None


def test_this_process_has_memory_and_a_role():
    assert of(os.getpid()).rss_bytes > 10**6
    assert roles({"tests": os.getpid()})["tests"] == os.getpid()
