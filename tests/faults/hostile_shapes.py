"""Hostile bundles, and what must become of each: a reason for the whole of it, or a finding for each bad resource."""

import gzip
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

# What a resource may hold beside what is right in it, and the finding that it must get.
SPOILED = {
    rb'"text": "cut \ud83d"': "lone_surrogate",
    rb'"\ude00": "x"': "lone_surrogate",
    b'"text": NaN': "not_a_number",
    b'"text": [-Infinity, Infinity]': "not_a_number",
    b'"text": 1e999': "number_out_of_range",
    b'"text": -' + b"7" * 5000: "number_out_of_range",
    b'"text": "\xff\xfe"': "bad_utf8",
    b'"text": "\xed\xa0\x80"': "bad_utf8",
    b'"text": "\x00"': "control_character",
    b'"text": "a\nb"': "control_character",
    b'"text": "x", "text": "y"': "duplicate_member",
    rb'"text": "x", "\u0074ext": "\"y\\"': "duplicate_member",
    b'"text": ' + b"[" * 1000 + b"]" * 1000: "depth_max",
    b'"text": ' + b'{"a":' * 200_000 + b"1" + b"}" * 200_000: "elements_max",
    b'"text": [' + b"[]," * 50_000 + b"[]]": "elements_max",
    b'"text": "' + b"x" * 17_000_000 + b'"': "resource_bytes_max",
    b'"text": 007': "not_json",
    b'"text": tru': "not_json",
    b'"text" "x"': "not_json",
    b'"text": "x",,': "not_json",
    b'"text": "x",': "not_json",
    rb'"text": "\x41"': "not_json",
    b'"text": ""': "string_pattern_mismatch",
    b'"text": 12345678901234567890123456789': "string_type",
    b'"nope": {"a": [1, {"b": null}]}': "extra_forbidden",
}
ALONE = {
    b"{}": "no_resource_type",
    b"5": "not_an_object",
    b"null": "not_an_object",
    b'"x"': "not_an_object",
    b"[[], {}]": "not_an_object",
    b'{"resourceType": "Nope"}': "unknown_type",
    b'{"resourceType": ["Observation"]}': "no_resource_type",
    b'{"resourceType": "Observation", "resourceType": "Patient"}': "duplicate_member",
}
# Entries that are wrong outside of a resource: refused whole.
ENTRIES = {
    b'{"resource": {"resourceType": "Basic"}, "resource": {"resourceType": "Basic"}}': "duplicate_member",
    rb'{"resource": {"resourceType": "Basic"}, "\u0072esource": {"resourceType": "Basic"}}': "duplicate_member",
    b'{"fullUrl" "x", "resource": {"resourceType": "Basic"}}': "not_json",
    b'{"fullUrl": "x" "y", "resource": {"resourceType": "Basic"}}': "not_json",
    b'{"fullUrl": "x"}': "no_resource_type",
    b"NaN": "not_a_number",
}
# What a bundle may say beside its entries without losing any of them.
BESIDE = (
    rb'"id": "cut \ud83d"',
    b'"meta": {"x": NaN, "y": [1e999]}',
    b'"total": -1.5e3',
    b'"x\xff": "\x00"',
    b'"link": ' + b"[" * 5000 + b"]" * 5000,
    b'"x": "' + rb"\"" * 200_000 + b'"',
    b'"x": ' + b" " * 3_000_000 + b"1",
)
# Bundles that are none, by the reason.
REFUSED = {
    b"<html>": {"not_json"},
    b"": {"truncated"},
    b"\xff\xfe{\x00}\x00": {"not_json"},
    b'"x"': {"not_json"},
    b"[]": {"not_a_bundle"},
    b"{}": {"not_a_bundle"},
    b'{"resourceType": "Bundle", "entry": {}}': {"not_a_bundle"},
    b'{"resourceType": "Bundle", "entry": [], "entry": []}': {"not_a_bundle"},
    b'{"resourceType": "Bundle", "resourceType": "Bundle"}': {"not_a_bundle"},
    b'{"resourceType": "Bundle", "entry": [{}{}]}': {"not_json"},
    b'{"resourceType": "Bundle", "entry": [{},]}': {"not_json"},
    b'{"resourceType": "Bundle", "entry": [{"resource": {"a": [}}, {"resource": {"b": ]}}]}': {"not_json"},
    b'{"resourceType": "Bundle"} x': {"not_json"},
    b'{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "x"}}]}': {"other_patient"},
    b"{" + b"".join(b'"m%d": 1,' % number for number in range(2000)) + b'"resourceType": "Bundle"}': {"not_a_bundle"},
    b'{"resourceType": "Bundle", "entry": [' + b"[" * 1_000_000: {"truncated"},
    b'{"resourceType": "Bundle", "entry": [{"a": "' + rb"\"" * 2_000_000: {"truncated"},
    b" " * 20_000_000: {"truncated"},
    gzip.compress(b'{"resourceType": "Bundle"}'): {"not_json"},
}
TOLD = {"truncated", "not_json", "not_a_bundle", "other_patient", "too_large", None}


@dataclass(frozen=True)
class Hostile:
    """One hostile record and its blob.

    `reasons`: what the snapshot may say. `findings`: what the bad resources must get. `good`: the resources that must
    come out. Of a bundle whose bytes were changed by chance, only the reason is told beforehand.
    """

    patient: str
    raw: bytes | None
    reasons: frozenset[str | None]
    findings: Counter[str] = field(default_factory=Counter)
    good: tuple[bytes, ...] = ()
    facts: dict[str, object] = field(default_factory=dict)
    by_chance: bool = False


def observation(patient: str, number: int, spoiled: bytes = b'"text": "x"') -> bytes:
    """Return one resource, right but for what is put in."""
    return (
        b'{"resourceType": "Observation", "id": "o-%d", "status": "final", "code": {%b}, '
        b'"subject": {"reference": %b}, "valueQuantity": {"value": %d.50}}'
        % (number, spoiled, json.dumps(f"Patient/{patient}").encode(), number)
    )


def bundle(entries: list[bytes], *, beside: bytes = b"", between: bytes = b", ") -> bytes:
    """Return a bundle of these entries."""
    members = [b'"resourceType": "Bundle"', *([beside] if beside else []), b'"entry": [%b]' % between.join(entries)]
    return b"{%b}" % between.join(members)


def entry(resource: bytes) -> bytes:
    """Return a resource as an entry."""
    return b'{"fullUrl": "urn:uuid:x", "resource": %b}' % resource


def neighbour(patient: str) -> Hostile:
    """Return a bundle with nothing wrong with it."""
    good = tuple(observation(patient, number) for number in range(5))
    return Hostile(patient, bundle([*map(entry, good)]), frozenset({None}), good=good)


def small(count: int, seed: int) -> Iterator[Hostile]:
    """Yield hostile bundles, all shapes in turn, each put together by chance."""
    chance = random.Random(seed)
    odd = list(_odd_records())
    refused = list(REFUSED.items())
    for number in range(count):
        patient = f"h-{number}"
        match number % 5:
            case 0 if number // 5 < len(refused):
                raw, reasons = refused[number // 5]
                yield Hostile(patient, raw, frozenset(reasons))
            case 1 if number // 5 < len(odd):
                yield odd[number // 5]
            case 2:
                yield _changed_by_chance(patient, chance)
            case _:
                yield _mixed(patient, number, chance)


def _mixed(patient: str, number: int, chance: random.Random) -> Hostile:
    """Return good resources with some bad ones among them."""
    findings: Counter[str] = Counter()
    good = tuple(observation(patient, place) for place in range(chance.randrange(1, 8)))
    entries = [*map(entry, good)]
    kinds = list(SPOILED.items())
    some = [kinds[(number + place) % len(kinds)] for place in range(chance.randrange(3))]
    bad = [(entry(observation(patient, 100 + place, what)), kind) for place, (what, kind) in enumerate(some)]
    bad += [(entry(raw), kind) for raw, kind in chance.sample(list(ALONE.items()), chance.randrange(3))]
    bad += chance.sample(list(ENTRIES.items()), chance.randrange(3))
    for raw, kind in bad:
        entries.insert(chance.randrange(len(entries) + 1), raw)
        findings[kind] += 1
    beside = chance.choice([b"", *BESIDE])
    between = chance.choice([b",", b", ", b"\n,\r\n\t", b"," + b" " * 1000])
    raw = chance.choice([b"", b"\xef\xbb\xbf", b" \n"]) + bundle(entries, beside=beside, between=between)
    return Hostile(patient, raw, frozenset({None}), findings, good)


def _changed_by_chance(patient: str, chance: random.Random) -> Hostile:
    raw = bytearray(bundle([entry(observation(patient, number)) for number in range(6)]))
    if chance.random() < 0.3:
        return Hostile(patient, bytes(raw[: chance.randrange(len(raw))]), frozenset({"truncated"}))
    for _ in range(chance.randrange(1, 5)):
        raw[chance.randrange(len(raw))] = chance.choice(b'{}[]",:x0\\ \x00\xff')
    return Hostile(patient, bytes(raw), frozenset(TOLD), by_chance=True)


def _odd_records() -> Iterator[Hostile]:
    """Yield good bundles told of in odd ways, and blobs that are none."""
    patients = ["../../etc", "a/b", "é\N{GRINNING FACE}", "x" * 1000, "a\nb", "a\x00b", " ", "%2F", '"', "{}"]
    for patient in patients:
        yield neighbour(patient)
    for number, facts in enumerate(
        [
            {"metadata": {"n": 10**40, "deep": [[[[{}]]]], "text": "\x00\ud7ff"}},
            {"when": "0001-01-01T00:00:00+14:00"},
            {"when": "9999-12-31T23:59:59.999-12:00"},
            {"when": "x" * 100_000},
            {"messageId": "é/\n\N{GRINNING FACE}" * 100},
            {"requestId": "\x00", "externalId": "\x00", "additionalIds": {"x": [10**30, None, {}]}},
            {"filters": {"resources": ["x"], "n": 10**30}, "complete": False},
        ]
    ):
        whole = neighbour(f"r-{number}")
        yield Hostile(whole.patient, whole.raw, whole.reasons, good=whole.good, facts=facts)
    for number, blob in enumerate(["nowhere", "../x", "x" * 300, "x/" * 700, "a//b", "\x00", "", "hostile-0/x", "/"]):
        yield Hostile(f"b-{number}", None, frozenset({"no_blob"}), facts={"blob": blob, "bytes": 5})


def large() -> Iterator[Hostile]:
    """Yield bundles that cost by their size or their number."""
    empty = b",".join([b"{}"] * 1_000_000)
    yield Hostile(
        "l-empty",
        bundle([empty]),
        frozenset({None}),
        Counter({"no_resource_type": 1}),  # all have the same bytes
    )
    yield Hostile("l-many", bundle([empty, b"{}"]), frozenset({"too_many_resources"}))
    yield Hostile("l-entry", bundle([b'{"resource": {"a": "%b"}}' % (b"x" * 70_000_000)]), frozenset({"too_large"}))
    numbers = b",".join(b'{"resource":{"a":%d}}' % number for number in range(30_000))
    yield Hostile("l-refused", bundle([numbers]), frozenset({None}), Counter({"no_resource_type": 30_000}))
    good = tuple(observation("l-space", number) for number in range(3))
    raw = bundle([*map(entry, good)], between=b"," + b" " * 30_000_000)
    yield Hostile("l-space", raw, frozenset({None}), good=good)
    texts = tuple(observation("l-texts", number, b'"text": "%b"' % (b"x \\n" * 2_000_000)) for number in range(12))
    yield Hostile("l-texts", bundle([*map(entry, texts)]), frozenset({None}), good=texts)
