"""Cutting a text into lines while it comes."""

from hypothesis import given
from hypothesis import strategies as st

from streams.links.publishing.lines import Lines

MAX = 8


def cut(chunks):
    lines = Lines(MAX)
    return [line for chunk in chunks for line in lines.feed(chunk)] + lines.end()


@given(st.lists(st.text(alphabet="ab\n", max_size=20).map(str.encode)))
def test_the_lines_are_those_of_the_whole_text_each_cut_to_one_byte_too_many(chunks):
    *whole, rest = b"".join(chunks).split(b"\n")

    assert cut(chunks) == [line[: MAX + 1] for line in (*whole, *([rest] if rest else []))]


def test_a_text_without_line_ends_takes_no_more_memory_than_a_line():
    lines = Lines(MAX)

    for _ in range(1_000):
        assert lines.feed(b"x" * 1_000) == []
        assert len(lines._line) == MAX + 1

    assert lines.end() == [b"x" * (MAX + 1)]
