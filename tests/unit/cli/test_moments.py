from datetime import UTC, datetime, timedelta

import pytest

from cli import moments
from models.errors import Misconfigured

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("10m", timedelta(minutes=10)),
        ("7d", timedelta(days=7)),
        ("2026-01-31T11:59:59Z", timedelta(seconds=1)),
        ("2026-01-31T12:30:00+01:00", timedelta(minutes=30)),
    ],
)
def test_a_time_is_so_long_ago_or_has_its_zone(text, ago):
    assert moments.moment(text, now=NOW) == NOW - ago


@pytest.mark.parametrize("text", ["", "10", "10x", "-10m", "yesterday", "2026-13-01", "2026-01-31T12:00", "999999w"])
def test_what_is_no_time_is_answered_with_what_is(text):
    with pytest.raises(Misconfigured, match="zone"):
        moments.moment(text, now=NOW)
