"""What a delivery asks to be fetched, and what becomes of it."""

import json
from datetime import UTC, datetime

import pytest

from models import samples
from models.errors import Poison
from streams.deliveries.normalize import normalize
from streams.links import link as codec
from streams.links.link import Ended, Outcome, StoredBody
from streams.links.listing import extract
from streams.links.listing.extract import Source
from streams.links.publishing import records
from streams.links.publishing.records import Records

SOURCE = Source("metriport.x/3/17", "m-1/0", 42, 1_761_825_600_000)
AT = datetime(2025, 10, 30, 12, 13, tzinfo=UTC)
BODY = StoredBody(12, "ab" * 32, "sha256/ab/abab", '"e"', "Thu, 30 Oct 2025 12:00:00 GMT")
STORED = Outcome("stored", body=BODY, at=AT)


def listed(delivery):
    normalized = normalize(delivery, index=0, received_at="2025-10-30T12:00:01.000Z")
    return extract.links(normalized.topic, normalized.value, SOURCE)


def consolidated(name="medical.consolidated-data", **changes):
    delivery = samples.load(name)
    delivery["patients"][0] |= changes
    return delivery


def record(link, ended):
    return json.loads(records.record(link, ended))


def test_of_a_consolidated_pair_the_gzip_copy_is_fetched_first():
    (link,) = listed(samples.load("medical.consolidated-data"))

    assert [url.partition("?")[0].rpartition("/")[2] for url in link.urls] == ["MR.json.gz", "MR.json"]
    assert (link.kind, link.expects, link.order) == ("bundle", "json", 42)
    assert link.deadline == datetime(2025, 10, 30, 12, 15, 32, tzinfo=UTC)


def test_the_gzip_copy_is_found_by_its_type_and_not_by_its_place():
    delivery = samples.load("medical.consolidated-data")
    delivery["patients"][0]["bundle"]["entry"][0]["resource"]["content"].reverse()

    assert listed(delivery) == listed(samples.load("medical.consolidated-data"))


def test_a_bundle_record_says_what_was_asked_for_and_what_came():
    (link,) = listed(samples.load("medical.consolidated-data"))

    fields = record(link, STORED)

    assert fields["kind"] == "consolidated"
    assert fields["format"] == "json"
    assert fields["complete"] is False
    assert fields["filters"]["resources"] == ["Encounter", "Observation"]
    assert (fields["bytes"], fields["sha256"], fields["blob"]) == (BODY.bytes, BODY.sha256, BODY.blob)
    assert (fields["etag"], fields["lastModified"]) == (BODY.etag, BODY.last_modified)
    assert fields["deadline"] == "2025-10-30T12:15:32.000Z"
    assert fields["fetchedAt"] == "2025-10-30T12:13:00.000Z"
    assert (fields["outcome"], fields["reason"]) == ("stored", None)
    assert fields["patientId"] == delivery_patient()
    assert fields["metadata"] == {"tenant": "clinic-7"}


def delivery_patient():
    return samples.load("medical.consolidated-data")["patients"][0]["patientId"]


@pytest.mark.parametrize(
    ("filters", "complete"),
    [
        ({"resources": "", "dateFrom": "", "dateTo": "", "conversionType": "json"}, True),
        ({"resources": "", "dateFrom": "2025-01-01", "conversionType": "json"}, False),
        ({"resources": "Encounter"}, False),
    ],
)
def test_a_bundle_is_complete_only_without_filters(filters, complete):
    (link,) = listed(consolidated(filters=filters))

    assert record(link, STORED)["complete"] is complete


def test_a_pdf_is_one_link_of_its_format():
    (link,) = listed(samples.load("medical.consolidated-data.pdf"))

    assert (link.expects, record(link, STORED)["format"], len(link.urls)) == ("pdf", "pdf", 1)


def test_an_empty_result_is_stored_with_no_bytes_and_no_blob():
    (link,) = listed(samples.load("medical.consolidated-data.empty"))

    fields = record(link, Outcome(link.early.outcome, link.early.reason, at=AT))

    assert link.urls == ()
    assert (fields["outcome"], fields["bytes"], fields["blob"], fields["deadline"]) == ("stored", 0, None, None)


def test_a_failed_query_is_a_failed_bundle():
    (link,) = listed(samples.load("medical.consolidated-data.failed"))

    assert (link.early.outcome, link.early.reason) == ("failed", "query_failed")


@pytest.mark.parametrize(
    "bundle",
    [
        None,
        {"entry": [{"resource": {}}]},
        {
            "entry": [
                None,
                5,
                {"resource": {"content": [{"attachment": {"url": "https://x", "contentType": "image/png"}}]}},
            ]
        },
        {"entry": [{"resource": {"content": [{"attachment": {"url": 5, "contentType": "application/json"}}]}}]},
    ],
)
def test_a_completed_query_without_a_link_is_a_failed_bundle(bundle):
    (link,) = listed(consolidated(bundle=bundle))

    assert (link.early.outcome, link.early.reason) == ("failed", "no_link")


@pytest.mark.parametrize("kind", ["patient.admit", "patient.transfer", "patient.discharge"])
def test_an_encounter_is_one_json_bundle(kind):
    (link,) = listed(samples.load(kind))

    fields = record(link, STORED)
    assert (link.kind, link.expects) == ("bundle", "json")
    assert (fields["kind"], fields["type"]) == ("encounter", kind)


def test_each_document_is_a_link_with_its_name_and_type():
    delivery = samples.load("medical.document-bulk-download-urls")
    document = delivery["patients"][0]["documents"][0]
    delivery["patients"][0]["documents"] = [document, document | {"id": "d-2", "url": None, "mimeType": None}]

    first, second = listed(delivery)

    fields = record(first, STORED)
    assert (fields["documentId"], fields["fileName"]) == (document["id"], document["fileName"])
    assert (first.expects, second.expects) == ("xml", "unknown")
    assert (second.early.outcome, second.early.reason) == ("failed", "no_link")
    assert (first.id, second.id) == ("m-1/0/document/0", "m-1/0/document/1")


def test_a_bulk_result_is_a_link_and_progress_is_none():
    (link,) = listed(samples.load("medical.bulk-patient-create"))

    assert (link.kind, link.key) == ("bulk-result", samples.load("medical.bulk-patient-create")["meta"]["requestId"])
    assert listed(samples.load("medical.bulk-patient-create.processing")) == []


def test_a_link_without_a_readable_time_lives_from_when_it_was_received():
    delivery = samples.load("patient.admit")
    delivery["meta"]["when"] = "yesterday"
    delivery["payload"]["url"] = "https://b.s3.amazonaws.com/k"

    (link,) = listed(delivery)

    assert link.deadline == datetime(2025, 10, 30, 12, 10, 1, tzinfo=UTC)


TIMES = [
    *("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z"),
    *("9999-12-31", "0001-01-01", "", "\x00", "2025-10-30T12:00:00+99:99", "\uff11\uff19\uff19\uff19-01-01"),
]


@pytest.mark.parametrize("timestamp_ms", [-1, 0, 1_761_825_600_000, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("when", TIMES)
@pytest.mark.parametrize("signed", ["", "X-Amz-Date=00010101T000000Z&X-Amz-Expires=1", "X-Amz-Date=99991231T235959Z"])
def test_no_time_keeps_a_link_from_its_record(when, timestamp_ms, signed):
    delivery = samples.load("patient.admit")
    delivery["meta"]["when"] = when
    delivery["payload"]["url"] = f"https://b.s3.amazonaws.com/k?{signed}"
    normalized = normalize(delivery, index=0, received_at=when)

    (link,) = extract.links(normalized.topic, normalized.value, SOURCE._replace(timestamp_ms=timestamp_ms))

    assert codec.decode(codec.encode(link)) == link
    (output,) = Records("metriport.").ended(Ended(link, STORED._replace(at=None)))
    assert json.loads(output.value)["outcome"] == "stored"


@pytest.mark.parametrize("url", ["https://s3.amazonaws.com:99999/x", "https://[é:1]c:8@/x", "x" * 100_000, "\x00"])
def test_what_cannot_be_read_as_a_link_is_settled_as_it_is_listed(url):
    delivery = samples.load("medical.document-bulk-download-urls")
    document = delivery["patients"][0]["documents"][0]
    delivery["patients"][0]["documents"] = [document | {"url": url}, document]

    odd, neighbour = listed(delivery)

    assert (odd.early.outcome, odd.early.reason, odd.urls) == ("failed", "bad_link", ())
    assert neighbour.early is None
    assert json.loads(records.record(odd, Outcome("failed", "bad_link", at=AT)))["documentId"] == document["id"]


def test_of_two_links_to_a_bundle_the_one_that_can_be_read_is_enough():
    delivery = samples.load("medical.consolidated-data")
    content = delivery["patients"][0]["bundle"]["entry"][0]["resource"]["content"]
    content[0]["attachment"]["url"] = "https://s3.amazonaws.com:99999/x"

    (link,) = listed(delivery)

    assert (len(link.urls), link.early) == (1, None)


def test_numbers_beyond_64_bits_pass_through_the_table():
    delivery = samples.load("patient.admit")
    delivery["meta"]["data"] = {"large": 2**70, "small": -(2**70), "float": 1e300}

    (link,) = listed(delivery)

    assert record(codec.decode(codec.encode(link)), STORED)["metadata"] == delivery["meta"]["data"]


def test_what_is_no_normalized_record_is_refused():
    with pytest.raises(Poison):
        extract.links("patient.admit", b'{"url": 5}', SOURCE)


@pytest.mark.parametrize("name", ["medical.consolidated-data", "medical.consolidated-data.failed", "patient.admit"])
def test_a_link_survives_the_table(name):
    for link in listed(samples.load(name)):
        assert codec.decode(codec.encode(link)) == link


@pytest.mark.parametrize("name", ["medical.consolidated-data", "medical.document-bulk-download-urls", "patient.admit"])
@pytest.mark.parametrize("ended", [STORED, Outcome("expired", "forbidden", at=AT)], ids=["stored", "expired"])
def test_no_record_and_no_text_holds_the_link(name, ended):
    for link in listed(samples.load(name)):
        assert "X-Amz" not in repr(link) + str(link) + records.record(link, ended).decode()


@pytest.mark.parametrize(
    ("name", "kind", "complete"),
    [
        ("network-query.hie", "consolidated", False),
        ("network-query.pharmacy", "consolidated", False),
        ("network-query.lab", "consolidated", False),
        ("network-query.hie.first-data-ready", "consolidated", False),
        ("patient.pharmacy", "notification", False),
        ("patient.laboratory", "notification", False),
        ("medical.discharge-summary", "notification", False),
        ("patient.admit", "encounter", True),
    ],
)
def test_a_link_to_a_bundle_says_what_the_bundle_is(name, kind, complete):
    (link,) = listed(samples.load(name))

    assert (link.kind, link.expects, len(link.urls)) == ("bundle", "json", 1)
    assert (link.record["kind"], link.record["format"], link.record["complete"]) == (kind, "json", complete)


@pytest.mark.parametrize("status", ["failed", "processing", "partial"])
def test_the_link_of_a_source_that_did_not_complete_is_not_fetched(status):
    delivery = samples.load("network-query.hie")
    delivery["payload"]["source"]["status"] = status

    (link,) = listed(delivery)

    assert (link.urls, link.early.outcome, link.early.reason) == ((), "failed", "source_failed")


@pytest.mark.parametrize("name", ["network-query.hie", "patient.pharmacy", "medical.discharge-summary"])
def test_a_message_that_should_carry_a_link_and_does_not_is_told(name):
    delivery = samples.load(name)
    for field in ("url", "consolidatedDataUrl"):
        delivery["payload"].pop(field, None)

    (link,) = listed(delivery)

    assert (link.early.outcome, link.early.reason) == ("failed", "no_link")


def test_each_document_of_a_page_has_a_link_under_either_name():
    delivery = samples.load("medical.document-bulk-download-paged")
    (document,) = delivery["patients"][0]["documents"]
    others = [document | {"id": "second", "url": None}, document | {"id": "third", "downloadUrl": "https://b/third"}]
    delivery["patients"][0]["documents"] += others

    links = listed(delivery)

    assert [link.record["documentId"] for link in links] == [document["id"], "second", "third"]
    assert [link.urls for link in links] == [
        (document["url"],),
        (document["downloadUrl"],),
        (document["url"], "https://b/third"),
    ]
