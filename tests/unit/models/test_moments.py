"""Times are read alike everywhere, whatever a sender writes."""

from datetime import UTC, datetime

import pytest

from models import moments


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-10-30T12:00:00.123Z", datetime(2025, 10, 30, 12, 0, 0, 123_000, UTC)),
        ("2025-10-30T12:00:00+02:00", datetime(2025, 10, 30, 10, tzinfo=UTC)),
        ("2025-10-30T12:00:00", datetime(2025, 10, 30, 12, tzinfo=UTC)),
        ("2025-10-30", datetime(2025, 10, 30, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("2025-13-01T00:00:00Z", None),
        ("soon", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_a_moment_is_in_utc_or_there_is_none(text, moment):
    assert moments.parse(text) == moment


@pytest.mark.parametrize("text", ["2025-10-30T12:00:00", "2025-10-30"])
def test_a_time_without_a_zone_is_none_where_a_zone_is_asked_for(text):
    assert moments.parse(text, zoned_only=True) is None


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (("2025-10-30", "2025-10-31"), "2025-10-30"),
        (("soon", "2025-10-31"), "2025-10-31"),
        ((None, None), "1970-01-01T00:00:00.000Z"),
    ],
)
def test_the_first_that_is_a_time_counts_as_it_is_written(texts, found):
    assert moments.first(*texts) == found


@pytest.mark.parametrize("since_1970_ms", [-(2**63), -1, 0, 1_700_000_000_123, 2**53, 2**63 - 1])
def test_a_time_of_kafka_is_a_moment_whatever_it_is(since_1970_ms):
    found = moments.of_ms(since_1970_ms)

    assert datetime(1970, 1, 1, tzinfo=UTC) <= found < datetime(9000, 1, 1, tzinfo=UTC)


def test_a_time_of_kafka_is_exact_where_a_calendar_has_it():
    assert moments.of_ms(1_700_000_000_123) == datetime(2023, 11, 14, 22, 13, 20, 123_000, UTC)
