"""What is declared of the service's topics is what its stages write, and nothing else is named in the code."""

import ast
import asyncio
import re
from pathlib import Path
from typing import get_args

import obstore
import pytest

from cli import audit, connection, removals
from cli.quarantine import deciding
from cli.topics import losses
from ingress.records import Delivery
from ingress.records import records as received
from models import envelope, headers, reasons, samples, topics
from models.settings import KafkaSettings
from models.stages import STAGES
from streams.deliveries.drift import Bounds
from streams.deliveries.job import DeliveriesJob
from streams.engine.job import Output
from streams.engine.losses.losses import Loss
from streams.links.link import Outcome, StoredBody
from streams.patients.job import SOURCES, PatientsJob
from tests.unit import contract
from tests.unit.bundles import stage as bundles
from tests.unit.engine.fakes import MemoryKafka, Process, Record
from tests.unit.links import stage as links

ROOT = Path(__file__).parents[2]
PREFIX = contract.PREFIX
RECEIVED_AT = "2025-10-30T12:00:01.000Z"
TIMESTAMP = 1_761_825_600_000

# Of HTTP and of the links' own query, not of records.
NOT_OURS = frozenset({"x-metriport-signature", "x-gzip", "x-amz-expires", "x-amz-date", "x-amz-checksum-sha256"})
NAME = re.compile(r"(x-|ce_)[a-z0-9-]+|content-type")


def literals(source):
    """Yield each text and each bytes that the code writes down, docstrings aside, with its line."""
    tree = ast.parse(source)
    said = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in said:
            value = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            yield value, node.lineno


def header_names(source):
    return [(value, line) for value, line in literals(source) if NAME.fullmatch(value) and value not in NOT_OURS]


def test_no_module_but_headers_writes_the_name_of_a_header_down():
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for folder in ("cli", "ingress", "models", "streams")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != ROOT / "models" / "headers.py"
        for name, line in header_names(path.read_text())
    ]

    assert found == []


@pytest.mark.parametrize("source", ['x = "x-source"', 'def f(x=b"ce_id"): ...', 'f(f"{a}", {"content-type": 1})'])
def test_a_name_written_down_is_found(source):
    assert len(header_names(source)) == 1


def test_every_name_among_the_constants_is_declared_and_the_other_way_round():
    named = {value for value in vars(headers).values() if isinstance(value, str) and NAME.fullmatch(value)}

    assert named == set(headers.TABLE)


@pytest.mark.parametrize("name", headers.TABLE)
def test_a_header_says_one_sentence_and_no_topic_has_it_both_always_and_sometimes(name):
    declared = headers.TABLE[name]

    assert declared.says.endswith(".")
    assert not set(declared.always) & set(declared.sometimes)
    assert len({*declared.always, *declared.sometimes}) == len(declared.always + declared.sometimes) > 0


def raised(source):
    """Yield the reasons that are given to `Poison` as words."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Poison":
            yield from (each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant) and each.value)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_raises_its_own_reasons_only(stage):
    own = [path.read_text() for path in (ROOT / "streams" / stage).rglob("*.py")]
    words = {word for source in own for word in raised(source)}

    assert words
    assert words <= set(reasons.OF_STAGE[stage])


def test_every_reason_has_its_sentence_and_is_one_of_a_stage():
    assert set(reasons.SAYS) == {word for words in reasons.OF_STAGE.values() for word in words}
    assert all(sentence.endswith(".") for sentence in reasons.SAYS.values())
    assert set(get_args(reasons.Reason)) == set(reasons.SAYS)


# --- the whole way of deliveries, with the real code of each stage and a Kafka in memory ---------------------------


class Written(dict):
    """Every record that was written, by topic."""

    def note(self, topic, record):
        self.setdefault(topic.removeprefix(PREFIX), []).append(record)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return asyncio.run(_written(tmp_path_factory.mktemp("blobs")))


async def _written(folder):
    found, kafka = Written(), MemoryKafka()
    webhooks = [record for body in _bodies() for record in received(*_delivery(body), body_bytes_max=2**20)]
    for record in webhooks:
        found.note(PREFIX + topics.WEBHOOKS, record)
    await _fed(DeliveriesJob(PREFIX, bounds=Bounds()), "deliveries", kafka, {PREFIX + topics.WEBHOOKS: webhooks})
    await _links(kafka)
    snapshots = await asyncio.to_thread(_bundles, folder)
    for topic, rows in snapshots.items():
        kafka.logs[topic, 0] += rows
    sources = {PREFIX + name: kafka.logs[PREFIX + name, 0] for name in SOURCES}
    *documents, last = sources[PREFIX + topics.DOCUMENTS]
    sources[PREFIX + topics.DOCUMENTS] = [*documents, last._replace(value=b"no json")]
    await _fed(PatientsJob(PREFIX), "patients", kafka, sources)
    for (topic, _), rows in kafka.logs.items():
        for row in rows:
            if topic.startswith(PREFIX) and topic != PREFIX + topics.WEBHOOKS:
                found.note(topic, row)
    await _operator(found)
    return found


def _bodies():
    yield from (samples.encode(samples.load(name)) for name in samples.names())
    two = samples.load("medical.document-download")
    two["patients"].append(two["patients"][0] | {"patientId": "another"})
    yield samples.encode(two)
    yield b"no json"


def _delivery(body):
    return Delivery(body, RECEIVED_AT), envelope.read(body)


async def _fed(job, stage, kafka, sources):
    """Let a stage process these records; its own log of its sources is no part of what is written."""
    process = Process(job, kafka, stage=stage, app_id=f"{PREFIX}{stage}", sources=tuple(sources))
    await process.begin()
    for topic, rows in sources.items():
        records = [
            Record(offset, row.value, row.key, topic, 0, TIMESTAMP, tuple(row.headers))
            for offset, row in enumerate(rows)
        ]
        if records:
            process.feed(records)
            await process.idle()
    assert process.ended == []


async def _links(kafka):
    """Every link is stored, but those of one document and of one bulk result, which lead to what they should not."""
    rows = b"externalid,metriportId,status,reason\na,,waiting,\n\xff\n" + b"b" * 3_000_000
    blob = "sha256/rows"

    def fetch(link):
        if link.kind == "bulk-result":
            return Outcome("stored", body=StoredBody(len(rows), "ab" * 32, blob, None, None))
        return links.STORED if link.index else Outcome("failed", "wrong_content", links.BODY)

    async with links.running(fetch, kafka=kafka, listed=[(b"l/odd", b"\xff")], record_bytes_max=2**22) as stage:
        await obstore.put_async(stage.store, blob, rows)
        for (topic, _), found in list(kafka.logs.items()):
            if found and topic.removeprefix(PREFIX) in (*topics.DELIVERY_TYPES, topics.UNRECOGNISED):
                stage.process.feed(
                    [
                        Record(offset, row.value, row.key, topic, 0, TIMESTAMP, tuple(row.headers))
                        for offset, row in enumerate(found)
                    ]
                )
        await stage.settled()
        assert stage.fatal() == []


def _bundles(folder):
    """A patient's snapshots: what is created, updated, refused, too large, held, removed and folded into another."""
    stage = bundles.Stage(bundles.LocalValidator(), folder)
    url = "https://public.metriport.com/fhir/StructureDefinition/doc-id-extension.json"
    many = [bundles.patient(), *(bundles.observation(number) for number in range(30))]
    of_document = bundles.observation(40, extension=[{"url": url, "valueString": "d-1"}])
    large = bundles.observation(41, note=[{"text": "x" * 200_000}])
    odd = {"resourceType": "Observation", "id": "odd"}
    known = {"receivedAt": RECEIVED_AT, "externalId": "mrn-7"}
    days = [f"2025-01-{day:02d}T00:00:00Z" for day in (1, 2, 12, 20, 28)]
    stage.deliver([*many, of_document, large, odd], when=days[0], **known)
    changed = [bundles.patient(language="de"), *many[1:29], of_document, large]
    stage.deliver(changed, when=days[1], **known)
    stage.deliver([*changed, bundles.observation(50)], when=days[2], **known)
    folded = bundles.observation(1, value=3, extension=bundles.derived_from("Observation", "o-2"))
    stage.deliver([*changed[:2], folded, *changed[4:]], when=days[3], **known)
    stage.deliver(changed[:3], when=days[4], **known)
    stage.deliver([*changed[:3], bundles.observation(51)], when="2025-02-20T00:00:00Z", **known)
    stage.deliver(b"no json", when="2025-02-21T00:00:00Z")
    return stage.topics


class Producer:
    """Writes down what an operator's command sends."""

    def __init__(self, found):
        self._found = found

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def send_and_wait(self, topic, value, *, headers, **_place):
        self._found.note(topic, Output(topic, None, value, headers))


_LOSS = Loss(kind="start", topic="metriport.webhooks", partition=0, position=5, resume=3, says="3 records")


async def _operator(found):
    settings = KafkaSettings(kafka_bootstrap_servers="nowhere:1")
    with pytest.MonkeyPatch.context() as patch:
        for module in (audit, removals, connection):
            patch.setattr(module, "decisions", lambda _settings, **_words: Producer(found))
        waiting = removals.Waiting("p-1", "m-1", "Observation", 3, 0)
        await removals.decide(settings, "apply", [waiting])
        await losses.accept(settings, "links", _LOSS, 3)
    refused = found[topics.quarantine("deliveries")][0]
    place = f"{PREFIX}{topics.quarantine('deliveries')}/0/0"
    released = Output("", refused.key, refused.value, deciding.as_released(place, refused.headers))
    found.note(PREFIX + topics.release("deliveries"), released)


def test_every_record_that_a_stage_writes_has_the_headers_the_reasons_and_the_fields_that_are_declared(written):
    for topic, rows in written.items():
        for row in rows:
            contract.hold(PREFIX + topic, row)

    assert sorted(set(contract.BREACHES)) == []


def test_every_topic_is_written_on_this_way(written):
    tables = {topics.changelog(stage) for stage in STAGES}
    states = {topic.name for topic in topics.catalogue() if topic.family == "state"}
    decided = {topics.release(stage) for stage in ("deliveries", "patients", "bundles")}

    assert {topic.name for topic in topics.catalogue()} - set(written) - tables - states <= decided


FAMILIES = sorted({topic.family for topic in topics.catalogue()} - {"table"})
# Which the stages never write of themselves.
SELDOM = {headers.GENERATION, headers.QUARANTINE_LEFT_OUT, headers.RELEASED}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_header_that_is_declared_is_written(written, family):
    of_family = [topic.name for topic in topics.catalogue() if topic.family == family]

    names = {name for topic in of_family for record in written.get(topic, ()) for name, _ in record.headers}

    assert set(headers.of(family)) - names <= SELDOM
