"""A bundle's bytes come apart into its resources' bytes, whatever the blocks, and nothing else passes for a bundle."""

import io
import json
import random

import pytest

from models.errors import Poison
from streams.bundles.bundle import json_scan as json_text
from streams.bundles.bundle import split as split_module
from streams.bundles.bundle.split import split
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
        (b'{"resourceType":"Bundle","entry":[{"resource":{"a":[}},{"resource":{"b":]}}]}', "not_json"),
        (b'{"resourceType":"Bundle","entry":[{"resource":{"a":1}}]]}', "not_json"),
        (
            b"{" + b",".join(b'"m%d":1' % number for number in range(1001)) + b',"resourceType":"Bundle"}',
            "not_a_bundle",
        ),
        (b'{"resourceType":"Bundle","entry":[{"resource":{}}],5:1}', "not_json"),
        (b'{"resourceType":"Bundle"} x', "not_json"),
        (b'{"resourceType":"Bundle","entry":[{"resource":{"a":"', "truncated"),
    ],
)
def test_what_is_no_bundle_is_unreadable_with_a_reason(raw, reason):
    with pytest.raises(Poison) as caught:
        resources(raw)

    assert caught.value.reason == reason


@pytest.mark.parametrize("block_bytes", [50, 2**20])
def test_a_bundle_cut_anywhere_is_truncated(block_bytes):
    raw = bundle_of(RESOURCES[:4])

    reasons = {unreadable(raw[:length], block_bytes=block_bytes) for length in range(len(raw))}

    assert reasons == {"truncated"}


@pytest.mark.parametrize("behind", [b"", b',{"resource":{}}' * 3], ids=["alone", "with others behind it"])
@pytest.mark.parametrize("block_bytes", [100, 700, 2**20])
def test_an_entry_over_the_limit_is_too_large_wherever_it_is_read(block_bytes, behind):
    frame = len(b'{"resource":{"a":""}}')
    entries = [b'{"resource":{"a":"%b"}}' % (b"x" * (size - frame)) for size in (6000, 6001)]
    raws = [b'{"resourceType":"Bundle","entry":[%b%b]}' % (entry, behind) for entry in entries]

    reasons = [unreadable(raw, block_bytes=block_bytes, entry_bytes_max=6000) for raw in raws]

    assert reasons == [None, "too_large"]


def test_whatever_the_bytes_are_they_are_split_or_unreadable():
    rnd = random.Random(3)
    raw = bundle_of(RESOURCES[:3])

    for _ in range(2000):
        spoiled = bytearray(raw)
        for _ in range(3):
            spoiled[rnd.randrange(len(spoiled))] = rnd.choice(b'{}[]",:x0\\ \x00\xff')
        unreadable(bytes(spoiled), block_bytes=rnd.choice([20, 500, 2**20]))


GOOD = b'{"fullUrl":"x","resource":{"good":1}}'
BROKEN = {
    "a lone surrogate": rb'{"a":"cut \ud83d"}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":[-Infinity]}',
    "nested 1,000 deep": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "nested 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "no UTF-8": b'{"a":"\xff\xc3"}',
    "a control character": b'{"a":"\x01\n"}',
    "more than a float holds": b'{"a":1e999}',
    "5,000 digits": b'{"a":' + b"7" * 5000 + b"}",
    "a leading zero": b'{"a":007}',
    "a member twice": b'{"a":1,"a":2}',
    "no colon": b'{"a" 1}',
    "no name": b"{1:2,}",
    "brackets in texts": b'{"a":"}],{\\"","b":tru}',
    "a bad escape": rb'{"a":"\x"}',
}


@pytest.mark.parametrize("block_bytes", [30, 2**20])
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_within_a_resource_leaves_its_neighbours_whole(broken, block_bytes):
    entry = b'{"fullUrl":"y","resource":%b,"search":{}}' % broken
    raw = b'{"resourceType":"Bundle","entry":[%b]}' % b" ,\n".join([GOOD, entry, GOOD, entry, GOOD])

    found = [
        (resource, raw[start:end])
        for block in split(io.BytesIO(raw).read, block_bytes=block_bytes)
        for resource, (start, end) in zip(block.resources, block.ranges(), strict=True)
    ]

    assert found == [(each, each) for each in [b'{"good":1}', broken, b'{"good":1}', broken, b'{"good":1}']]


@pytest.mark.parametrize("block_bytes", [30, 2**20])
@pytest.mark.parametrize(
    "entry",
    [
        b'{"resource":{"a":1},"resource":{"b":2}}',
        rb'{"resource":{"a":1},"\u0072esource":{"b":2}}',
        b'{"fullUrl" "x","resource":{"a":1}}',
        b'{"fullUrl":"x" "y","resource":{"a":1}}',
        b'{"resource":{"a":1},}',
        b'{"fullUrl":"x"}',
        b"{ }",
        b"[]",
        b"NaN",
        b'"\xff"',
    ],
)
def test_an_entry_that_is_wrong_outside_of_its_resource_is_refused_alone(entry, block_bytes):
    raw = b'{"resourceType":"Bundle","entry":[%b]}' % b",".join([GOOD, entry, GOOD])

    assert resources(raw, block_bytes=block_bytes) == [b'{"good":1}', entry, b'{"good":1}']


@pytest.mark.parametrize("member", [rb'"fullUrl":"cut \ud83d"', b'"search":{"score":NaN}', b'"x\xff":[[[["\x00"]]]]'])
def test_a_resource_in_an_entry_that_says_something_odd_beside_it_is_taken(member):
    raw = b'{"resourceType":"Bundle","entry":[{%b,"resource":{"a":1}},%b]}' % (member, GOOD)

    assert resources(raw) == [b'{"a":1}', b'{"good":1}']


@pytest.mark.parametrize("member", [rb'"cut \ud83d":1', b'"meta":{"x":NaN}', b'"total":-1.5e3', b'"x":"\xff"'])
@pytest.mark.parametrize("block_bytes", range(60, 90))
def test_what_the_bundle_says_beside_its_entries_costs_nothing(member, block_bytes):
    raw = b'{"resourceType":"Bundle",%b,"entry":[%b],"more":[%b]}' % (member, GOOD, b"1," * 20 + b"1")

    assert resources(raw, block_bytes=block_bytes) == [b'{"good":1}']


def many(entry, *, start=b"", end=b""):
    return lambda count: b'{"resourceType":"Bundle",%b"entry":[%b]%b}' % (start, b",".join([entry] * count), end)


def large(begin, middle, end):
    return lambda count: many(b'{"resource":{"a":%b}}' % (begin + middle * count + end))(1)


SHAPES = {
    "empty entries": many(b"{}"),
    "numbers": many(b"5"),
    "entries that begin otherwise": many(b'{"search":{},"resource":{"a":1}}'),
    "resources in resources": many(b'{"resource":{"parameter":[{"resource":{}},{"resource":{}}]}}'),
    "entries with two resources": many(b'{"resource":{},"resource":{}}'),
    "broken resources": many(b'{"fullUrl":"x","resource":{"a":NaN}}'),
    "one cut open": lambda count: many(b'{"resource":{}}')(count)[:-4],
    "a long text": large(b'"', b"abc", b'"'),
    "a long text of escapes": large(b'"', rb"\\\"", b'"'),
    "a text that does not end": lambda count: many(b"{}")(1)[:-4] + b'"' + rb"\"" * count,
    "deep nesting": lambda count: many(b'{"resource":' + b"[" * count + b"]" * count + b"}")(1),
    "many members": large(b"{", b'"a":1,', b'"a":1}'),
    "many members of an entry": lambda count: many(b'{%b"resource":{}}' % (b'"a":1,' * count))(1),
    "many empty lists": large(b"[", b"[],", b"[]]"),
    "white space": lambda count: many(b"{}", start=b" " * count, end=b"\n" * count)(1),
    "white space between entries": many(b'{"resource":{}}' + b" " * 50),
    "a long number": large(b"", b"7", b""),
    "a long name": lambda count: b'{"%b":1,"resourceType":"Bundle"}' % (b"a" * count),
    "letters where a value should be": lambda count: b'{"a":' + b"x" * count,
    "what looks like the beginning of entries": large(b'"', b',{\\"resource\\":', b'"'),
    "what is the beginning of entries elsewhere": large(b"[1", b',{"resource":1}', b"]"),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_four_times_the_bytes_are_no_more_than_four_times_the_work(shape, monkeypatch):
    looked_at = count_bytes_looked_at(monkeypatch)
    small, large = shape(10_000), shape(40_000)

    unreadable(small, block_bytes=4096, entry_bytes_max=2**22)
    of_small, looked_at[:] = sum(looked_at), []
    unreadable(large, block_bytes=4096, entry_bytes_max=2**22)

    assert sum(looked_at) / len(large) < 1.5 * of_small / len(small) + 1
    assert sum(looked_at) / len(large) < 15


def count_bytes_looked_at(monkeypatch):
    """Return a list that grows by how many bytes each part of the work looks at."""
    looked_at = []

    def counted(module, name, count):
        function = getattr(module, name)

        def counting(*given):
            found = function(*given)
            looked_at.append(count(found, *given))
            return found

        monkeypatch.setattr(module, name, counting)

    def from_to(end, data, at):
        return (len(data) if end is None else end) - at

    counted(json_text, "value_end", from_to)
    counted(json_text, "skip_space", from_to)
    counted(split_module, "value_end", from_to)
    counted(split_module, "skip_space", from_to)
    counted(split_module, "_cuts", lambda _, data, at: 2 * (len(data) - at))
    counted(split_module, "_resources", lambda _, data: len(data))
    counted(split_module._Text, "_more", lambda _, text: len(text._data))
    return looked_at


def unreadable(raw, **limits):
    try:
        resources(raw, **limits)
    except Poison as error:
        return error.reason
    return None
