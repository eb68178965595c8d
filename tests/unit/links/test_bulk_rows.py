"""Publishing a bulk result: whatever the file is, its rows or its place in quarantine come out, and it ends."""

import hashlib

import obstore
import pytest

from streams.links.fetching.blobs import Blobs
from streams.links.fetching.retry import RetryPolicy, StoreUnavailable
from streams.links.limits import FetchLimits
from streams.links.publishing import bulk_csv
from tests.unit.links.stage import BODY, STORED, bulk, documents, running

HEADER = b"externalid,metriportId,status,reason\n"


async def published(file, **options):
    """Run one result through the stage; return it with a document behind it."""
    key = f"sha256/{hashlib.sha256(file).hexdigest()}"

    def fetch(link):
        return STORED._replace(body=BODY._replace(blob=key)) if link.kind == "bulk-result" else STORED

    async with running(fetch, **options) as stage:
        await obstore.put_async(stage.store, key, file)
        stage.process.feed([bulk()])
        stage.process.feed([documents("https://b.s3.amazonaws.com/k")])
        await stage.settled()
    assert stage.fatal() == []
    assert len(stage.found("documents")) == 1
    return stage


@pytest.mark.parametrize(
    ("file", "reasons"),
    [
        pytest.param(b"", ["wrong_content"], id="empty"),
        pytest.param(b"\n", ["wrong_content"], id="only-a-line-end"),
        pytest.param(b"\n" * 5_000, ["wrong_content"], id="only-line-ends"),
        pytest.param(HEADER, ["no_rows"], id="only-a-header"),
        pytest.param(HEADER.strip(), ["no_rows"], id="only-a-header-without-its-end"),
        pytest.param(b"\xef\xbb\xbf", ["wrong_content"], id="only-a-byte-order-mark"),
        pytest.param(b"a" * 3_000_000, ["wrong_content"], id="no-line-end"),
        pytest.param(b"a,metriportId,status,reason\r" * 100_000, ["wrong_content"], id="carriage-returns"),
        pytest.param(b"<html>", ["wrong_content"], id="html"),
        pytest.param(b"\x00" * 100_000, ["wrong_content"], id="zeros"),
    ],
)
async def test_a_file_without_rows_is_told_in_quarantine(file, reasons):
    stage = await published(file)

    assert stage.reasons() == reasons
    assert stage.found("bulk-patients") == []


async def test_rows_come_out_around_one_that_is_longer_than_may_be():
    stage = await published(HEADER + b"a,,waiting,\n" + b"b" * 3_000_000 + b"\nc,,waiting,", record_bytes_max=200_000)

    assert [(row["row"], row["columns"]) for row in stage.found("bulk-patients")] == [
        (1, {"externalid": "a"}),
        (3, {"externalid": "c"}),
    ]
    (row,) = stage.kafka.logs[stage.job.quarantine, 0]
    assert row.value == b"b" * (bulk_csv.ROW_BYTES_MAX + 1)
    assert dict(row.headers)["x-blob"].startswith(b"sha256/")


async def test_rows_come_out_around_one_whose_record_is_too_large():
    long = b"b" * 50_000

    stage = await published(HEADER + b"a,,waiting,\n" + long + b",,waiting,\nc,,waiting,\n", record_bytes_max=40_000)

    assert [row["row"] for row in stage.found("bulk-patients")] == [1, 3]
    assert stage.reasons() == ["too_large"]


async def test_a_row_that_cannot_be_made_into_a_record_costs_the_file_and_no_other(monkeypatch):
    monkeypatch.setattr(bulk_csv, "read", lambda *_, **__: 1 / 0)

    stage = await published(HEADER + b"a,,waiting,\n")

    assert stage.reasons() == ["unprocessable"]


async def test_only_so_many_rows_of_a_file_are_published():
    stage = await published(HEADER + b"a,,waiting,\n" * 2_000, limits=FetchLimits(rows_max=1_000))

    assert [row["row"] for row in stage.found("bulk-patients")] == list(range(1, 1_001))
    assert stage.reasons() == ["too_many_rows"]


async def test_a_result_that_the_store_does_not_give_is_asked_for_until_it_does(monkeypatch):
    chunks, away = Blobs.chunks, iter([True, False, True])

    async def sometimes(self, key):
        if next(away, False):
            raise StoreUnavailable("EIO")
        async for chunk in chunks(self, key):
            yield chunk

    monkeypatch.setattr(Blobs, "chunks", sometimes)

    stage = await published(HEADER + b"a,,waiting,\n" * 3, retries=RetryPolicy(wait_s=0.0))

    assert [row["row"] for row in stage.found("bulk-patients")] == [1, 2, 3]
