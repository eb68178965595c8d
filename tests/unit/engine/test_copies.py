import pytest

from streams.engine.fingerprints import digest
from streams.engine.log.copies import CLOCK, OLD, UNLIKE, Changelog, flaw
from streams.engine.ports import Copy

DAY_MS = 24 * 3600 * 1000
NOW_MS = 100 * DAY_MS
AGE_MAX_MS = 3 * DAY_MS


def judged(*, days=0.0, copy_digest=b"d", digest=b"d", end=20, newest_days_later=0.0, now_ms=NOW_MS) -> str:
    copy = Copy(10, copy_digest, NOW_MS - int(days * DAY_MS))
    changelog = Changelog(digest, end, copy.current_at_ms + int(newest_days_later * DAY_MS))
    return flaw(copy, changelog, now_ms=now_ms, age_max_ms=AGE_MAX_MS)


@pytest.mark.parametrize(("days", "expected"), [(0, ""), (2.9, ""), (3.1, OLD), (400, OLD)])
def test_a_copy_that_may_have_missed_that_something_is_gone_is_not_used(days, expected):
    assert judged(days=days) == expected


def test_a_copy_that_contains_its_whole_changelog_is_used_however_old():
    assert judged(days=400, end=11) == ""


def test_a_copy_from_the_future_is_not_used_for_the_clock_went_back():
    assert judged(days=-0.1) == CLOCK


def test_clocks_of_two_hosts_may_differ_a_little():
    assert judged(days=-1 / 24 / 60) == ""


def test_a_clock_that_stood_still_is_found_by_what_others_have_written_since():
    assert judged(days=0, newest_days_later=10) == OLD


@pytest.mark.parametrize("found", [None, b"other"], ids=["compacted away", "another record"])
def test_a_copy_that_its_changelog_does_not_continue_is_not_used(found):
    assert judged(digest=found) == UNLIKE
    assert judged(digest=found, end=11) == UNLIKE


def test_a_copy_of_an_earlier_version_is_used_only_if_it_contains_its_whole_changelog():
    whole, part = (flaw(Copy(10), Changelog(b"d", end, 0), now_ms=NOW_MS, age_max_ms=1) for end in (11, 12))

    assert (whole, part) == ("", OLD)


def test_a_hash_tells_none_from_empty_and_a_key_from_a_value():
    pairs = [(None, b""), (b"", None), (b"", b""), (b"a", b"b"), (b"ab", b""), (b"", b"ab"), (None, b"-")]

    assert len({digest(key, value) for key, value in pairs}) == len(pairs)
