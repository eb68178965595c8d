"""A link as the stage's table keeps it."""

from datetime import UTC, datetime

from msgspec import structs

from streams.links import link as codec
from streams.links.link import EarlyOutcome, Link, StoredBody

LISTED = (
    b'{"id":"m-1/0/document/0","kind":"document","urls":["https://b.s3.amazonaws.com/k"],"key":"p-1",'
    b'"source":"metriport.x/0/7","index":0,"order":7,"deadline":"2025-10-30T12:10:00Z","expects":"pdf",'
    b'"record":{"messageId":"m-1"},"timestamp_ms":5,"settled":{"outcome":"failed","reason":"no_link"},'
    b'"fetched":[12,"ab","sha256/ab/ab",null,"Thu"],"rows_done":3}'
)
LINK = Link(
    id="m-1/0/document/0",
    kind="document",
    urls=("https://b.s3.amazonaws.com/k",),
    key="p-1",
    source="metriport.x/0/7",
    index=0,
    order=7,
    deadline=datetime(2025, 10, 30, 12, 10, tzinfo=UTC),
    expects="pdf",
    record={"messageId": "m-1"},
    timestamp_ms=5,
    early=EarlyOutcome("failed", "no_link"),
    fetched=StoredBody(12, "ab", "sha256/ab/ab", None, "Thu"),
    rows_done=3,
)


def test_a_link_that_an_older_version_listed_is_read_and_written_as_it_was():
    assert codec.decode(LISTED) == LINK
    assert codec.encode(LINK) == LISTED


def test_a_link_of_a_released_record_is_listed_with_where_it_stood_in_quarantine():
    link = structs.replace(LINK, released="metriport.quarantine.links/0/7")

    assert codec.decode(codec.encode(link)) == link


def test_a_link_does_not_print_what_was_sent():
    assert repr(LINK) == "Link(document)"
