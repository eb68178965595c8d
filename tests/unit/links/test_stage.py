"""What one listed link does ends in its own outcome or in quarantine, and its neighbours come out."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from obstore import put_async

from models import moments
from streams.engine.crashes.work_file import WorkFile
from streams.links import link as codec
from streams.links.fetching.address import AddressRules
from streams.links.fetching.client import Client
from streams.links.fetching.fetch import Fetcher
from streams.links.fetching.progress import Progress
from streams.links.limits import FetchLimits
from streams.links.link import Outcome
from streams.links.publishing.records import HEADER_BYTES_MAX
from streams.links.scheduling.dispatcher import Dispatcher
from streams.links.scheduling.schedule import Schedule
from tests.unit.engine.fakes import MemoryKafka
from tests.unit.links.stage import BODY, STORED, bulk, bundle, documents, released, running
from tests.unit.links.test_address import PIECES

ROWS = b"externalid,metriportId,status,reason\na,,waiting,\nb,,waiting,\n"
GOOD = "https://b.s3.amazonaws.com/k"
LINK = codec.Link(
    id="old/0/document/0",
    kind="document",
    urls=(GOOD,),
    key="p-1",
    source="metriport.x/0/7",
    index=0,
    order=7,
    deadline=moments.of_ms(0),
    expects="unknown",
    record={"messageId": "old", "type": "x", "documentId": "old"},
)


def outcomes(stage):
    return {value["documentId"]: (value["outcome"], value["reason"]) for value in stage.found("documents")}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(PIECES, min_size=1, max_size=8).map(lambda parts: "https://" + "".join(parts)), max_size=5))
async def test_whatever_a_delivery_lists_as_links_has_one_record_each(urls):
    urls = [url.encode("utf-8", "replace").decode() for url in urls]
    async with running() as stage:
        stage.process.feed([documents(*urls, GOOD)])
        await stage.settled()

        assert stage.fatal() == []
        assert len(stage.found("documents")) == len(urls) + 1
        assert outcomes(stage)[f"d-{len(urls)}"] == ("stored", None)


@pytest.mark.parametrize(
    "url", ["https://s3.amazonaws.com:99999/x", "https://[é:1]c:8@/x", "https://xn--.amazonaws.com/", "", "x" * 50_000]
)
async def test_a_link_that_cannot_be_read_and_was_listed_by_an_older_version_is_a_bad_link(url):
    limits = FetchLimits()
    fetcher = Fetcher(Client(AddressRules(("amazonaws.com",)), limits), None, limits)
    old = structs.replace(LINK, urls=(url,))
    entry = codec.state_key(old), codec.encode(old)

    async with running(lambda link: fetcher.fetch(link, partition=0, progress=Progress()), listed=[entry]) as stage:
        stage.process.feed([documents(GOOD.replace("https", "http"))])
        await stage.settled()

        assert stage.fatal() == []
        assert outcomes(stage) == {"old": ("failed", "bad_link"), "d-0": ("failed", "address_refused")}


async def test_an_entry_of_the_table_that_cannot_be_read_is_set_aside_and_its_neighbours_are_fetched():
    async with running(listed=[(b"l/odd", b'{"id": 5}'), (b"l/none", b"\xff")]) as stage:
        stage.process.feed([documents(GOOD)])
        await stage.settled()

        assert stage.fatal() == []
        assert sorted(stage.kafka.values(stage.job.quarantine)) == [b'{"id": 5}', b"\xff"]
        assert outcomes(stage) == {"d-0": ("stored", None)}


MARK = b"metriport.quarantine.links/0/7"


@pytest.mark.parametrize(
    ("record", "topic", "ended"),
    [
        (documents(GOOD, GOOD), "documents", STORED),
        (documents(GOOD), "quarantine.links", Outcome("failed", "wrong_content")),
        (bundle(), "bundles", STORED),
        (bulk(), "bulk-patients", STORED),
        (bulk(), "quarantine.links", Outcome("expired")),
    ],
    ids=["documents", "a-document-refused", "bundles", "rows", "a-result-refused"],
)
async def test_what_becomes_of_the_links_of_a_released_record_says_so(record, topic, ended):
    async with running(lambda _link: ended) as stage:
        await put_async(stage.store, BODY.blob, ROWS)
        stage.process.feed([released(record)])
        await stage.settled()

        assert stage.fatal() == []
        assert set(stage.marks(topic)) == {MARK}


async def test_what_was_not_released_says_nothing_of_it_beside_what_was():
    async with running() as stage:
        stage.process.feed([documents(GOOD, message="m-1")])
        stage.process.feed([released(documents(GOOD, message="m-2", offset=1))])
        await stage.settled()

        assert stage.marks("documents") == [None, MARK]


async def test_a_link_of_a_released_record_that_was_listed_before_a_crash_still_says_so():
    entry = codec.state_key(LINK), codec.encode(structs.replace(LINK, released=MARK.decode()))

    async with running(listed=[entry]) as stage:
        await stage.settled()

        assert stage.marks("documents") == [MARK]


def raising(_link):
    raise RuntimeError("nobody foresaw this")


ODD_BODIES = {
    "surrogate": BODY._replace(etag="\udcff"),
    "no-text": BODY._replace(etag=b"\xff"),
    "no-number": BODY._replace(bytes="many"),
}


@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES.keys())
async def test_a_record_that_cannot_be_made_goes_to_quarantine_and_its_neighbours_are_written(body):
    def fetch(link):
        return STORED._replace(body=body) if link.index == 1 else STORED

    async with running(fetch) as stage:
        stage.process.feed([documents(GOOD, GOOD, GOOD)])
        await stage.settled()

        assert stage.fatal() == []
        assert outcomes(stage) == {"d-0": ("stored", None), "d-2": ("stored", None)}
        assert stage.reasons() == ["unprocessable"]


async def test_a_fetch_that_breaks_is_a_failed_link():
    async with running(lambda link: raising(link) if link.index == 1 else STORED) as stage:
        stage.process.feed([documents(GOOD, GOOD)])
        await stage.settled()

        assert stage.fatal() == []
        assert outcomes(stage) == {"d-0": ("stored", None), "d-1": ("failed", "unprocessable")}


async def test_a_link_that_cannot_be_lined_up_is_a_failed_link(monkeypatch):
    monkeypatch.setattr(Schedule, "add", lambda *_: raising(None))
    async with running() as stage:
        stage.process.feed([documents(GOOD)])
        await stage.settled()

        assert stage.fatal() == []
        assert outcomes(stage) == {"d-0": ("failed", "unprocessable")}


async def test_a_record_that_is_too_large_is_told_in_quarantine_whatever_made_it_so():
    async with running() as stage:
        stage.process.feed([documents(GOOD, message="m" * 40_000), documents(GOOD, offset=1)])
        await stage.settled()

        assert stage.fatal() == []
        assert stage.reasons() == ["too_large"]
        (row,) = stage.kafka.logs[stage.job.quarantine, 0]
        assert all(len(value) <= HEADER_BYTES_MAX for _, value in row.headers)
        assert outcomes(stage) == {"d-0": ("stored", None)}


async def test_links_of_one_id_in_two_partitions_both_come_out():
    async with running(partitions=(0, 1)) as stage:
        stage.process.feed([documents(GOOD)])
        stage.process.feed([documents(GOOD, partition=1)])
        await stage.settled()

        assert [len(stage.kafka.values("metriport.documents", number)) for number in (0, 1)] == [1, 1]


async def test_nothing_leaves_the_list_or_is_told_before_it_is_written(monkeypatch):
    told = []
    monkeypatch.setattr("streams.links.publishing.committer.tell", lambda *facts: told.append(facts))
    async with running() as stage:
        monkeypatch.setattr(stage.kafka, "gate", None)
        stage.process.feed([documents(GOOD)])
        await stage.settled()
        assert told == [("document", "stored", "")]

        stage.kafka.effects_left = 2  # the next links are listed, and their record is not written any more
        stage.process.feed([documents(GOOD, offset=1, message="m-2")])
        await stage.settled()

        assert stage.process.ended
        assert told == [("document", "stored", "")]
        assert len(stage.listed()) == 1


@pytest.mark.parametrize(
    "part", [(Dispatcher, "_move_aside"), (Dispatcher, "_hand_on"), (Schedule, "next"), (Schedule, "done")], ids=str
)
async def test_a_part_that_dies_ends_the_stage(monkeypatch, part):
    monkeypatch.setattr(*part, lambda *_: raising(None))
    async with running() as stage:
        stage.process.feed([documents(GOOD)])
        await stage.settled()

        assert [type(error) for error in stage.died] == [RuntimeError]


async def test_a_failure_that_is_no_fault_of_the_table_is_told_as_it_is():
    async with running(lambda _link: Outcome("failed", "bad_link")) as stage:
        stage.process.feed([documents(GOOD)])
        await stage.settled()

        assert outcomes(stage) == {"d-0": ("failed", "bad_link")}


async def test_a_link_that_stops_the_event_loop_twice_is_in_quarantine_and_the_others_are_stored(tmp_path):
    kafka, bad = MemoryKafka(), "https://b.s3.amazonaws.com/bad"
    await met_by_the_watchdog(kafka, tmp_path / "work", bad, [documents(GOOD, bad)])
    await met_by_the_watchdog(kafka, tmp_path / "work", bad)

    async with running(kafka=kafka, work_file=WorkFile(tmp_path / "work")) as stage:
        await stage.settled()

    assert stage.fetched == []
    assert outcomes(stage) == {"d-0": ("stored", None), "d-1": ("failed", "too_costly")}
    assert stage.reasons() == ["too_costly"]
    assert not list(stage.state.scan(0, b"\0try"))


async def met_by_the_watchdog(kafka, path, bad, records=None):
    """One life of the stage, which ends while `bad` does not let the event loop turn."""
    met = asyncio.Event()

    async def fetch(link):
        if bad in link.urls:
            stage.process.engine.blame(asyncio.get_running_loop())  # the watchdog does, from its thread
            met.set()
            await asyncio.Event().wait()
        return STORED

    work_file = WorkFile(path)
    async with running(fetch, kafka=kafka, work_file=work_file) as stage:
        if records:
            stage.process.feed(records)
        await met.wait()
        while len(stage.listed()) > 1:  # noqa: ASYNC110 - a table has no event
            await asyncio.sleep(0.001)
        work_file.close()
        left = path.read_bytes()
    path.write_bytes(left)  # as it was when the process ended
