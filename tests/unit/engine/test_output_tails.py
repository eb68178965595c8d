from hypothesis import given
from hypothesis import strategies as st

from models.headers import get
from streams.engine.log.checkpoint import ahead, done_below, recall
from streams.engine.log.output_tails import Tails
from streams.engine.log.source_header import Sequencer, parse
from tests.unit.engine.fakes import MemoryKafka, MemoryState


def noted(*headers, partition=0, generation=b"", floors=None):
    tails = Tails(floors=floors or {})
    for offset, one in enumerate(headers):
        tails.note("a", (partition, offset), one, generation)
    return tails


def test_the_largest_place_counts_although_a_late_write_stands_behind_it():
    tails = noted([("x-source", b"in/0/7/1")], [("x-source", b"in/0/3/0")])

    assert tails.of("in") == {"a": (7, 1)}


def test_outputs_below_the_floor_say_nothing_of_a_source_that_lost_records_since():
    tails = noted([("x-source", b"in/0/7/1")], [("x-source", b"in/0/3/0")], floors={("in", "a"): 1})

    assert tails.of("in") == {"a": (3, 0)}


def test_completed_records_do_not_say_how_far_their_source_was_read():
    tails = noted([("x-source", b"in/0/7/1"), ("x-settled", b"1"), ("ce_id", b"e1")])

    assert (tails.of("in"), tails.unordered) == ({}, {"a": {b"e1"}})


def test_records_of_another_generation_are_not_taken_for_a_repeat():
    tails = noted([("x-source", b"in/0/7/1"), ("x-generation", b"old")], generation=b"new")

    assert tails.of("in") == {}


def test_records_without_a_readable_source_are_passed_over():
    tails = noted([], [("x-source", b"nonsense")], [("x-source", b"in/0/x/1")], [("x-source", b"in/5/7/1")])

    assert tails.of("in") == {}


def test_what_the_tail_says_beyond_the_state_is_noted_for_the_next_owner():
    state = MemoryState(MemoryKafka())
    state.put_many(0, done_below("in", 7).items(), 0)
    changes = ahead(state, 0, noted([("x-source", b"in/0/7/1")]))
    state.put_many(0, changes.items(), 1)
    fresh = Tails()

    recall(state, 0, fresh)

    assert fresh.of("in") == {"a": (7, 1)}


def test_what_the_state_contains_is_not_noted():
    state = MemoryState(MemoryKafka())
    state.put_many(0, done_below("in", 8).items(), 0)

    assert ahead(state, 0, noted([("x-source", b"in/0/7/1")])) == {}


@given(st.text(min_size=1), st.integers(0), st.integers(0))
def test_a_source_reads_back_as_it_was_written(topic, partition, offset):
    topic = topic.encode("utf-8", "replace").decode()
    stamped = Sequencer(topic, partition, {}).stamp("a", offset, [])

    assert parse(get(stamped, "x-source")) == (topic, partition, offset, 0)
