"""A bundle's bytes come apart into its resources' bytes, whatever the blocks, and nothing else passes for a bundle."""

import io
import json
import random

import pytest

from streams.bundles.split import Unreadable, split
from tests.unit.bundles.stage import bundle_of, observation

RESOURCES = [observation(number, note=[{"text": 'a "}],{\\ \n é'}, {"text": "b"}]) for number in range(40)]


def resources(raw, **limits):
    return [found for block in split(io.BytesIO(raw).read, **limits) for found in block.resources]


@pytest.mark.parametrize("block_bytes", [1, 7, 100, 1000, 5000, 2**20])
@pytest.mark.parametrize("indent", [None, 2])
def test_resources_come_out_in_order_whatever_the_size_of_a_block(block_bytes, indent):
    raw = json.dumps(json.loads(bundle_of(RESOURCES)), indent=indent).encode()

    found = resources(raw, block_bytes=block_bytes)

    assert [json.loads(each) for each in found] == RESOURCES


@pytest.mark.parametrize("block_bytes", [300, 2**20])
def test_a_range_leads_to_a_resources_bytes(block_bytes):
    raw = bundle_of(RESOURCES)

    pairs = [
        (found, raw[start:end])
        for block in split(io.BytesIO(raw).read, block_bytes=block_bytes)
        for found, (start, end) in zip(block.resources, block.ranges(), strict=True)
    ]

    assert len(pairs) == len(RESOURCES)
    assert all(found == there for found, there in pairs)


def test_members_may_come_in_any_order():
    raw = b'{"entry":[{"search":{},"resource":{"a":1},"fullUrl":"x"}],"link":[{}],"resourceType":"Bundle"}'

    assert resources(raw) == [b'{"a":1}']


def test_a_bundle_without_entries_has_no_resources():
    assert resources(b'{"resourceType":"Bundle","total":0}') == []
    assert resources(b'{"resourceType":"Bundle","entry": [ ]} ') == []


@pytest.mark.parametrize("entry", [b"5", b'{"fullUrl":"x"}', b'"x"', b"[]"])
def test_an_entry_without_a_resource_stands_for_itself_so_that_it_is_refused(entry):
    assert resources(b'{"resourceType":"Bundle","entry":[{"resource":{}},%b]}' % entry) == [b"{}", entry]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "truncated"),
        (b"hello", "not_json"),
        (b'"x"', "not_json"),
        (b"[]", "not_a_bundle"),
        (b"{}", "not_a_bundle"),
        (b'{"resourceType":"Patient"}', "not_a_bundle"),
        (b'{"resourceType":"Bundle","entry":{}}', "not_a_bundle"),
        (b'{"resourceType":"Bundle","entry":[],"entry":[]}', "not_a_bundle"),
        (b'{"resourceType":"Bundle","entry":[{"resource":{}}{"resource":{}}]}', "not_json"),
        (b'{"resourceType":"Bundle","entry":[{"resource":{}},]}', "not_json"),
        (b'{"resourceType":"Bundle","entry":[{"resource":{"a" 1}}]}', "not_json"),
        (b'{"resourceType":"Bundle"} x', "not_json"),
        (b'{"resourceType":"Bundle","entry":[{"resource":{"a":"', "truncated"),
    ],
)
def test_what_is_no_bundle_is_unreadable_with_a_reason(raw, reason):
    with pytest.raises(Unreadable) as caught:
        resources(raw)

    assert caught.value.reason == reason


@pytest.mark.parametrize("block_bytes", [50, 2**20])
def test_a_bundle_cut_anywhere_is_truncated(block_bytes):
    raw = bundle_of(RESOURCES[:4])

    reasons = {unreadable(raw[:length], block_bytes=block_bytes) for length in range(len(raw))}

    assert reasons == {"truncated"}


def test_an_entry_over_the_limit_is_too_large():
    raw = bundle_of([observation(1, note=[{"text": "x" * 10_000}])])

    assert unreadable(raw, block_bytes=100, entry_bytes_max=5000) == "too_large"


def test_whatever_the_bytes_are_they_are_split_or_unreadable():
    rnd = random.Random(3)
    raw = bundle_of(RESOURCES[:3])

    for _ in range(2000):
        spoiled = bytearray(raw)
        for _ in range(3):
            spoiled[rnd.randrange(len(spoiled))] = rnd.choice(b'{}[]",:x0\\ \x00\xff')
        unreadable(bytes(spoiled), block_bytes=rnd.choice([20, 500, 2**20]))


def unreadable(raw, **limits):
    try:
        resources(raw, **limits)
    except Unreadable as error:
        return error.reason
    return None
