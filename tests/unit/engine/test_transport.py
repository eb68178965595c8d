"""Where a partition is read on, and what is told of records that nobody read."""

from types import SimpleNamespace

import pytest

from streams.engine.driver import transport
from streams.engine.driver.transport import BatchTransport
from streams.engine.fatal import Fatal

PARTITION = ("in", 3)


@pytest.fixture
def told(monkeypatch):
    """The events that were emitted: how many records, and the facts."""
    events = []
    monkeypatch.setattr(transport.events, "UNREAD_EXPIRED", lambda count, **facts: events.append((count, facts)))
    return events


def start(*, known, committed, earliest, end=100):
    """Ask a transport that is not connected to anything; `known` is the position that the state has."""
    asked = object.__new__(BatchTransport)
    asked.engine, asked._stage = SimpleNamespace(position=lambda _partition: known), "test"
    return asked.start(PARTITION, committed, earliest, end)


@pytest.mark.parametrize(("known", "committed"), [(40, 40), (40, None), (40, 90), (None, 40)])
def test_what_retention_deleted_unread_is_told_though_the_group_has_forgotten(told, known, committed):
    assert start(known=known, committed=committed, earliest=60) == 60
    assert told == [(20, {"stage": "test", "topic": "in"})]


@pytest.mark.parametrize(("known", "committed"), [(0, None), (None, 0)])
def test_what_retention_deleted_before_the_first_record_was_read_is_told_too(told, known, committed):
    assert start(known=known, committed=committed, earliest=60) == 60
    assert told == [(60, {"stage": "test", "topic": "in"})]


def test_a_stage_that_never_read_a_topic_begins_where_it_begins(told):
    assert start(known=None, committed=None, earliest=60) == 60
    assert told == []


def test_the_state_knows_better_than_the_group(told):
    assert start(known=70, committed=50, earliest=10) == 70
    assert told == []


def test_a_topic_that_ends_before_what_was_committed_is_not_read():
    with pytest.raises(Fatal, match="in/3: committed up to 40, but the topic ends at 7"):
        start(known=None, committed=40, earliest=0, end=7)
