from datetime import UTC, datetime, timedelta

import pytest

from cli import moments
from models.errors import Misconfigured

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("10m", timedelta(minutes=10)),
        ("2H", timedelta(hours=2)),
        ("7 d", timedelta(days=7)),
        ("2026-01-31T11:59:59Z", timedelta(seconds=1)),
        ("2026-01-31T12:30:00+01:00", timedelta(minutes=30)),
        ("2026-01-31", timedelta(hours=12)),
    ],
)
def test_a_time_is_so_long_ago_or_as_iso_8601_has_it(text, ago):
    assert moments.moment(text, "--since", now=NOW) == NOW - ago


@pytest.mark.parametrize("text", ["", "10", "10x", "-10m", "yesterday", "2026-13-01", "999999999w"])
def test_what_is_no_time_is_answered_with_what_is(text):
    with pytest.raises(Misconfigured, match=r"^--since takes .*10m"):
        moments.moment(text, "--since", now=NOW)
