"""Partitions merged by time, however their records come."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from cli.by_time import WAITING_RECORDS_MAX, ByTime


class Record(NamedTuple):
    timestamp: int
    partition: int
    value: bytes = b"x"


@given(st.lists(st.lists(st.integers(0, 50)).map(sorted), min_size=1, max_size=4), st.data())
def test_all_is_shown_by_time_in_whatever_pieces_it_comes(partitions, data):
    left = {number: [Record(at, number) for at in times] for number, times in enumerate(partitions)}
    merged, shown = ByTime(left), []
    while left:
        number = data.draw(st.sampled_from(sorted(left)))
        count = data.draw(st.integers(0, 3))
        piece, left[number] = left[number][:count], left[number][count:]
        merged.add(number, piece)
        if not left[number]:
            del left[number]
            merged.close(number)
        shown += merged.ready()

    assert shown == sorted(shown, key=lambda record: record.timestamp)
    assert len(shown) == sum(map(len, partitions))


def test_a_partition_is_full_while_another_is_behind_and_not_afterwards():
    merged = ByTime([0, 1])
    merged.add(0, [Record(number, 0) for number in range(WAITING_RECORDS_MAX)])
    before = list(merged.ready()), merged.is_full(0)

    merged.close(1)

    assert before == ([], True)
    assert (len(list(merged.ready())), merged.is_full(0)) == (WAITING_RECORDS_MAX, False)


def test_a_large_record_fills_its_partition():
    merged = ByTime([0, 1])

    merged.add(0, [Record(1, 0, b"x" * 2**20)])

    assert merged.is_full(0)
