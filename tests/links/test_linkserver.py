"""The local link server and the links stage: the samples, as the demo and `trigger --links` send them."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from cli import linkserver, sampling
from models import samples
from streams.deliveries.normalize import normalize
from streams.links.fetching.address import AddressRules
from streams.links.listing import extract
from streams.links.listing.extract import Source
from streams.links.publishing import records


def links_of(name, origin, *, now):
    delivery = sampling.served_by(sampling.fresh(samples.load(name), now=now), origin)
    normalized = normalize(delivery, index=0, received_at=None)
    return extract.links(normalized.topic, normalized.value, Source("t/0/0", "m/0", 0, 0))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("medical.consolidated-data", "MR.json"),
        ("medical.consolidated-data.pdf", "MR.pdf"),
        ("medical.document-bulk-download-urls", "doc.xml"),
        ("medical.bulk-patient-create", "result.csv"),
        ("patient.admit", "encounter.hl7.json"),
        ("network-query.hie", "MR.json"),
        ("patient.pharmacy", "medication-dispense.json"),
        ("patient.laboratory", "laboratory-report.json"),
        ("medical.discharge-summary", "discharge-summary.json"),
        ("medical.document-bulk-download-paged.last", "doc.pdf"),
    ],
)
async def test_the_links_of_a_fresh_sample_lead_to_its_content(fetch, name, content):
    async with linkserver.serving() as origin:
        (link,) = links_of(name, origin, now=datetime.now(UTC))

        ended = await fetch(link, rules=AddressRules((), (origin,)))

    assert ended.outcome == "stored"
    assert ended.body.bytes == len(linkserver.find(content).body)
    assert ended.body.etag


async def test_the_links_of_an_old_sample_are_expired(fetch):
    async with linkserver.serving() as origin:
        (link,) = links_of("patient.admit", origin, now=datetime.now(UTC) - timedelta(hours=1))

        ended = await fetch(link, rules=AddressRules((), (origin,)))

    assert (ended.outcome, ended.reason) == ("expired", "forbidden")
    assert json.loads(records.record(link, ended))["requestId"] == link.record["requestId"]


def test_what_is_served_is_about_the_patient_asked_for():
    body = linkserver.find("MR.json", patient_id="p-9").body

    assert b'"Patient/p-9"' in body
    assert linkserver.SAMPLE_PATIENT_ID.encode() not in body
