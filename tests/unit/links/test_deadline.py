"""Until when a link works."""

from datetime import UTC, datetime, timedelta

import pytest

from streams.links.listing.deadline import deadline

WHEN = datetime(2025, 10, 30, 12, 0, tzinfo=UTC)
LINK = "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-Expires={expires}"


def test_a_link_says_itself_how_long_it_lives():
    link = LINK.format(date="20251030T121232Z", expires="14400")

    assert deadline(link, kind="patient.admit", when=WHEN, received=WHEN) == datetime(
        2025, 10, 30, 16, 12, 32, tzinfo=UTC
    )


def test_the_names_of_the_parameters_may_be_in_any_case():
    link = LINK.format(date="20251030T121232Z", expires="60").lower().replace("20251030t121232z", "20251030T121232Z")

    assert deadline(link, kind="patient.admit", when=WHEN, received=WHEN) == datetime(
        2025, 10, 30, 12, 13, 32, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("kind", "life_s"),
    [("medical.consolidated-data", 180), ("patient.admit", 600), ("medical.document-bulk-download-urls", 600)],
)
@pytest.mark.parametrize(
    "link",
    [
        "https://b.s3.amazonaws.com/k",
        LINK.format(date="20251030T121232Z", expires=""),
        LINK.format(date="20251030T121232Z", expires="-5"),
        LINK.format(date="20251030T121232Z", expires="9" * 5000),
        LINK.format(date="20251030T121232Z", expires="٣"),
        LINK.format(date="30.10.2025", expires="60"),
        "https://[/k",
        "",
    ],
)
def test_a_link_that_does_not_say_lives_as_long_as_documented(kind, life_s, link):
    assert deadline(link, kind=kind, when=WHEN, received=WHEN) == WHEN + timedelta(seconds=life_s)


@pytest.mark.parametrize("date", ["99991201T000000Z", "20301030T000000Z"])
def test_no_link_is_tried_for_longer_than_anybody_signs(date):
    link = LINK.format(date=date, expires="604800")

    assert deadline(link, kind="patient.admit", when=WHEN, received=WHEN) == WHEN + timedelta(days=7)


def test_a_link_signed_in_the_year_1_is_dead():
    link = LINK.format(date="00010101T000000Z", expires="60")

    assert deadline(link, kind="patient.admit", when=WHEN, received=WHEN) < WHEN
