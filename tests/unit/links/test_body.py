"""Inflating in bounded pieces."""

import gzip
import hashlib
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.links.fetching.body import PIECE_BYTES, Body, CannotInflate, Inflater, TooInflated
from streams.links.limits import MIB, FetchLimits

LIMITS = FetchLimits(inflated_bytes_max=8 * MIB, inflate_ratio_after_bytes=4 * MIB)


def inflated(packed, step=1000):
    inflater = Inflater(LIMITS)
    pieces = [piece for place in range(0, len(packed), step) for piece in inflater.feed(packed[place : place + step])]
    inflater.end()
    return pieces


@given(st.binary(max_size=5000), st.binary(max_size=50), st.integers(1, 100))
def test_what_was_packed_comes_out_however_it_is_cut(first, second, step):
    packed = gzip.compress(first) + gzip.compress(second)

    assert b"".join(inflated(packed, step)) == first + second


def test_no_piece_is_larger_than_the_bound():
    pieces = inflated(gzip.compress(bytes(3 * MIB + 5)), step=10**6)

    assert max(map(len, pieces)) <= PIECE_BYTES
    assert sum(map(len, pieces)) == 3 * MIB + 5


def test_a_bomb_is_stopped_where_its_ratio_is_absurd():
    with pytest.raises(TooInflated):
        inflated(gzip.compress(bytes(7 * MIB)))


def test_what_grows_beyond_the_limit_is_stopped_whatever_its_ratio():
    with pytest.raises(TooInflated):
        inflated(gzip.compress(os.urandom(9 * MIB), 1), step=MIB)


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(gzip.compress(b"x" * 1000)[:-1], id="cut"),
        pytest.param(gzip.compress(b"x" * 1000)[:-8] + bytes(8), id="wrong-sum"),
        pytest.param(gzip.compress(b"x") + b"junk", id="junk-behind"),
        pytest.param(zlib.compress(b"x"), id="zlib"),
    ],
)
def test_what_is_not_a_whole_gzip_stream_is_refused(packed):
    with pytest.raises(CannotInflate):
        inflated(packed)


@given(st.binary(max_size=3000), st.booleans(), st.booleans(), st.integers(1, 400))
def test_a_body_gives_back_what_was_meant(body, packed, inflate, step):
    taken = Body(LIMITS, inflate=inflate)
    sent = gzip.compress(body) if packed else b"{" + body

    pieces = [piece for place in range(0, len(sent), step) for piece in taken.feed(sent[place : place + step])]
    whole = b"".join([*pieces, *taken.end()])
    taken.take([whole])

    assert whole == (body if packed and inflate else sent)
    assert taken.sha256 == hashlib.sha256(whole).hexdigest()
    assert taken.bytes == len(whole)
    assert taken.head == whole[:1024]
