"""What is behind the links of a type that nobody knows yet is fetched and kept, not interpreted."""

import json
import tracemalloc

import pytest

from models import samples
from streams.links.fetching import address
from streams.links.link import Outcome, decode, encode
from streams.links.listing import extract, unknown_types
from streams.links.listing.extract import Source
from streams.links.publishing import records

SIGNED = "https://b.s3.us-west-1.amazonaws.com/k?X-Amz-Date=20260201T100321Z&X-Amz-Expires=600&X-Amz-Signature=00ff"
SOURCE = Source("metriport.unrecognised/3/17", "m-1/0", 42, 1_769_940_201_000)


def listed(payload, *, count_max=20, source=SOURCE, key=b"p-1", **meta):
    delivery = {
        "meta": {"messageId": "m-1", "type": "tomorrow.type", **meta},
        "payload": {"patientId": "p-1", **payload},
    }
    return extract.links_of_unknown(samples.encode(delivery), source, key, count_max=count_max)


def nested(value, levels):
    return value if not levels else {"in": [nested(value, levels - 1)]}


def test_a_presigned_link_is_listed_with_its_place_however_deep_it_stands():
    (link,) = listed(nested(SIGNED, 10))

    assert (link.kind, link.urls, link.early, link.key) == ("document", (SIGNED,), None, "p-1")
    assert link.record["path"] == "$['payload']" + "['in'][0]" * 10
    assert link.record["type"] == "unrecognised"


def test_a_link_that_is_not_presigned_is_told_and_not_fetched():
    (link,) = listed({"page": "https://example.com/page"})

    assert (link.urls, link.early.reason) == ((), "not_signed")


@pytest.mark.parametrize("text", ["http://loinc.org", "see https://b/k", "HTTPS", "https://[", "", "urn:uuid:1"])
def test_what_is_no_link_is_not_listed(text):
    assert listed({"text": text}) == []


def test_a_place_with_a_quote_in_its_name_is_written_as_json_path_has_it():
    (link,) = listed({"it's": SIGNED})

    assert link.record["path"] == r"$['payload']['it\'s']"


def test_presigned_links_come_before_others_and_the_first_left_out_says_that_more_were():
    links = listed({"pages": ["https://a/1", SIGNED, "https://a/2", SIGNED]}, count_max=3)

    assert [link.early and link.early.reason for link in links] == [None, None, "not_signed", "too_many_links"]


def test_a_body_full_of_links_costs_no_more_looks_than_a_few(monkeypatch):
    looks = []
    parse = address.parse
    monkeypatch.setattr(address, "parse", lambda text: looks.append(text) or parse(text))

    links = listed({"pages": [f"https://a/{number}" for number in range(50_000)]}, count_max=3)

    assert len(looks) <= unknown_types.LOOKS_MAX
    assert [link.early.reason for link in links] == ["not_signed"] * 3 + ["too_many_links"]


def test_the_place_of_every_value_is_not_written_down_for_the_sake_of_one_link():
    name = "n" * 1000
    body = {"meta": {}, name: [[number] for number in range(50_000)] + [SIGNED]}

    tracemalloc.start()
    (found,) = unknown_types.found(body, count_max=3)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found.record["path"] == f"$['{name}'][50000]"
    assert most < 20 * 2**20


def test_none_is_listed_where_that_is_switched_off():
    assert listed({"url": SIGNED}, count_max=0) == []


@pytest.mark.parametrize(("place", "count"), [("m/0", 1), ("m/1", 0), ("m/12", 0), ("m" * 256, 1)])
def test_the_links_of_a_delivery_for_several_patients_are_fetched_once(place, count):
    assert len(listed({"url": SIGNED}, source=SOURCE._replace(ce_id=place))) == count


@pytest.mark.parametrize(
    "meta",
    [
        None,
        {"when": 7, "requestId": []},
        {"messageId": None},
        {"when": "9999-12-31T23:59:59Z"},
        {"when": "0001-01-01"},
    ],
)
def test_an_odd_head_costs_no_link(meta):
    (link,) = listed({"url": SIGNED}, **meta) if meta is not None else of_half_a_character()

    assert decode(encode(link)) == link
    json.loads(records.record(link, Outcome("failed", "forbidden")))


def of_half_a_character():
    """A time that was cut within a character, as JavaScript cuts."""
    body = b'{"meta":{"messageId":"m","type":"t","when":"cut \\ud83d"},"payload":{"url":"' + SIGNED.encode() + b'"}}'
    return extract.links_of_unknown(body, SOURCE, b"p-1", count_max=20)


def test_a_key_that_is_no_patient_of_the_delivery_is_not_called_one():
    (link,) = listed({"url": SIGNED}, key=b"user-7")

    assert (link.key, link.record["patientId"]) == ("user-7", None)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a":1,"a":2}', b'{"meta":[]}'])
def test_a_body_that_cannot_be_read_has_no_links(body):
    assert extract.links_of_unknown(body, SOURCE, b"p-1", count_max=20) == []
