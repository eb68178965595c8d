"""Bodies and records that mean harm, through the real ingress and all stages: `python -m tests.faults.hostile_records`.

Odd records are written straight into every source topic of every stage before the stages start (later nobody but the
owner may write there); then hostile bodies, signed, are posted, with good ones between them. No stage may end, every
answer is 200, every good delivery comes out, and each hostile one has an output or is in quarantine.
"""

import argparse
import asyncio
import copy
import json
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaProducer
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.record.util import calc_crc32c

from cli import broker, processes
from models import samples, signature, topics
from streams.engine.kafka import header_names
from streams.links.listing.extract import topics_with_links
from streams.patients.job import SOURCES as PATIENTS_SOURCES
from tests.faults.ingress_killed import Ingress
from tests.faults.sender import KEY, sender
from tests.faults.topics import Reading, Topics
from tests.faults.workers import Workers

PARTITIONS = 2
PREFIX = "metriport."
SOURCES = {
    "deliveries": (topics.WEBHOOKS,),
    "links": topics_with_links(),
    "bundles": (topics.BUNDLES,),
    "patients": PATIENTS_SOURCES,
}
Outcome = tuple[str, str, int, int]  # stage, source topic, partition, offset
EVERY = 10  # hostile bodies to a good one
CODECS = (None, "gzip", "snappy", "lz4", "zstd")
MEMORY_MB_MAX = 1500  # of a stage, at most
ODD_NAME, ODD_BYTES = b"odd-name", b"\xff\xfe--name"  # of a header; as long, so that lengths stay right


@dataclass
class Report:
    """What came out; all but the counts and figures must be empty."""

    bodies: int = 0
    odd_records: int = 0
    good: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    ended: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    memory_mb: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def well(self) -> bool:
        """Whether all is as it must be."""
        small = all(most < MEMORY_MB_MAX for most in self.memory_mb.values())
        return not self.ended and not self.missing and set(self.answers) <= {200} and small


# --- bodies ----------------------------------------------------------------------------------------------------------

VALUES = (
    *(
        None,
        True,
        0,
        -1,
        2**63,
        2**70,
        1e308,
        "",
        " ",
        "x" * 10_000,
        "\0",
        "\r\n",
        "é\u202e",
        "\U0001f600",
        [],
        {},
        [[]],
    ),
    *({"a": 1}, [None], "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2025-13-45", "NaN", "../../etc"),
)
RAW = (
    *(rb'"cut \ud83d"', b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b'{"a":1,"a":2}', b"[" * 1500 + b"]" * 1500),
    *(b'{"a":' * 1200 + b"1" + b"}" * 1200, rb'"\u0000"', b'"\xff\xfe"', b"tru", b"'x'", b"01", b"1,", b"-", b'"\n"'),
)
NAMES = tuple(name for name in samples.names() if name not in {"ping", "devices.health-data"})


def hostile(count: int, seed: int) -> Iterator[bytes]:
    """Yield `count` bodies, the same for the same seed."""
    chance = random.Random(seed)
    for number in range(count):
        delivery = samples.load(chance.choice(NAMES))
        delivery["meta"]["messageId"] = f"hostile-{number}"
        way = chance.randrange(5)
        if way < 2:
            for _ in range(chance.randint(1, 3)):
                # A copy: a later one of the replacements may go into it.
                _replace(delivery, chance, copy.deepcopy(chance.choice(VALUES)))
            yield samples.encode(delivery)
        elif way == 2:
            _replace(delivery, chance, "HERE")
            yield samples.encode(delivery).replace(b'"HERE"', chance.choice(RAW))
        elif way == 3:
            delivery["meta"]["data"] = "HERE"
            yield samples.encode(delivery).replace(b'"HERE"', chance.choice(RAW))
        else:
            yield _broken(samples.encode(delivery), number, chance)


def _replace(delivery: Any, chance: random.Random, value: Any) -> None:
    """Put `value` somewhere."""
    part = delivery
    while True:
        name = chance.choice(list(part) if isinstance(part, dict) else range(len(part)))
        if not (isinstance(part[name], dict | list) and part[name]) or chance.random() < 0.3:
            part[name] = value
            return
        part = part[name]


def _broken(body: bytes, number: int, chance: random.Random) -> bytes:
    """Return it cut, with a byte changed, in other words, or not at all what it was."""
    at = chance.randrange(len(body))
    ways = (
        body[:at] + b" %d" % number,
        body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :],
        b"\xef\xbb\xbf" + body,
        body.decode().encode("utf-16"),
        b"[" * (at + 1) + b"%d" % number,
        b"%d" % number,
        b'["%d"]' % number,
        chance.randbytes(at + 1),
        body + body,
        b" " * 1000 + body,
        body.replace(b'"messageId"', b'"messageId":1,"messageId"'),
    )
    return chance.choice(ways)


def good(number: int) -> bytes:
    """Return a delivery that must come out."""
    delivery = samples.load("medical.document-conversion")
    delivery["meta"]["messageId"] = f"good-{number}"
    delivery["patients"][0]["patientId"] = f"good-patient-{number}"
    return samples.encode(delivery)


# --- records ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Odd:
    """One record for a source topic. `readable`: its value is what the topic promises."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp_ms: int | None = None
    readable: bool = False


def odd(topic: str, count: int, seed: int) -> list[Odd]:
    """Return `count` records, the same for the same seed."""
    chance = random.Random(f"{topic} {seed}")
    # Elsewhere retention would take what is that old, unread.
    kept_for_ever = {each.name for each in topics.catalogue() if each.retention_ms == topics.FOR_EVER}
    made = []
    for number in range(count):
        readable = chance.random() < 0.5
        value = _readable(topic, number) if readable else chance.choice(_UNREADABLE)
        headers = chance.choice(_HEADERS)
        made.append(
            Odd(
                chance.choice((None, b"", b"k", b"\xff\xfe", b"k" * 100_000)),
                value,
                headers,
                chance.choice((None, 0, 1)) if topic in kept_for_ever else None,
                readable,
            )
        )
    return made


_UNREADABLE = (
    *(None, b"", b"\0", b"null", b"[]", b"{}", b"1", b"\xff" * 100, b"{" * 5000, b'{"patientId":1}', b'{"meta":{}}'),
    *(b"x" * 500_000, b'{"patientId":"p","requestId":7', b"NaN", rb'"\ud83d"'),
)
_HEADERS: tuple[Sequence[tuple[str, bytes | None]], ...] = (
    (),
    (("ce_id", None), ("x-received-at", None), ("x-patient-index", None), ("x-source", None)),
    (("ce_id", b"\xff\xfe"), ("x-received-at", b"\xff"), ("x-patient-index", b"9" * 5000), ("x-source", b"/")),
    (("x-source", b"metriport.webhooks/0/99999999/0"), ("x-settled", b"1"), ("x-generation", b"g")),
    (("", b""), ("", None), ("\0", b"\0")),
    tuple((f"h{number}", b"v") for number in range(10_000)),
    (("large", b"x" * 600_000), ("ce_id", b"x" * 100_000)),
    ((ODD_NAME.decode(), b"1"), ("b", b"\xff")),
)


def _readable(topic: str, number: int) -> bytes:
    if topic == topics.WEBHOOKS:
        return good(1_000_000 + number)
    return json.dumps(
        {
            "messageId": f"odd-{number}",
            "type": topic,
            "when": "2025-10-30T12:00:00.000Z",
            "patientId": f"odd-{topic}-{number}",
            "requestId": f"odd-{topic}-{number}",
            "row": 1,
            "status": "failed",
            "outcome": "failed",
            "reason": "no_link",
            "kind": "consolidated",
            "format": "json",
            "complete": False,
        }
    ).encode()


class _Renamed:
    """A batch whose odd header name is no text: no client for Python writes one of its own accord."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._builder, name)

    def build(self) -> bytearray:
        data = bytearray(bytes(self._builder.build()).replace(ODD_NAME, ODD_BYTES))
        struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
        return data


async def write(servers: str, records: dict[str, list[Odd]]) -> dict[tuple[str, int, int], Odd]:
    """Write the records, one batch each, by every codec in turn; return them by their places."""
    places = {}
    for turn, codec in enumerate(CODECS):
        options = {"max_request_size": 2**22, "compression_type": codec}
        async with AIOKafkaProducer(bootstrap_servers=servers, **options) as producer:
            for topic, some in records.items():
                for number, each in list(enumerate(some))[turn :: len(CODECS)]:
                    batch = producer.create_batch()
                    at_ms = int(time.time() * 1000) if each.timestamp_ms is None else each.timestamp_ms
                    batch.append(timestamp=at_ms, key=each.key, value=each.value, headers=list(each.headers))
                    if codec is None:
                        batch._builder = _Renamed(batch._builder)
                    sent = await producer.send_batch(batch, PREFIX + topic, partition=number % PARTITIONS)
                    found = await sent
                    places[topic, found.partition, found.offset] = each
    return places


# --- the campaign ----------------------------------------------------------------------------------------------------


async def post(url: str, bodies: list[bytes], report: Report) -> None:
    """Post all of them, some at a time."""
    left = iter(bodies)

    async def some(session: aiohttp.ClientSession) -> None:
        for body in left:
            signed = {signature.HEADER: signature.sign(body, key=KEY.encode()), "content-type": "application/json"}
            async with session.post(f"{url}/webhooks/metriport", data=body, headers=signed) as response:
                await response.read()
                report.answers[response.status] += 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(some(session) for _ in range(16)))


async def settled(reading: Topics, workers: list[Workers]) -> None:
    """Wait until nothing is behind, or a stage has ended."""
    while not any(each.codes() for each in workers):
        # On a new broker the groups take a while to have a coordinator.
        with suppress(GroupCoordinatorNotAvailableError):
            if not any([await reading.behind(stage, sources) for stage, sources in SOURCES.items()]):
                return
        await asyncio.sleep(1)


async def judge(reading: Topics, places: dict[tuple[str, int, int], Odd], goods: int, report: Report) -> None:
    """Look for what has no outcome."""
    names = {topic.name for topic in topics.catalogue(("Patient",)) if not topic.internal}
    found = await reading.read(sorted(names))
    seen = {outcome for name, records in found.items() for outcome in map(_outcome_of(name, report), records)}
    for record in found[topics.WEBHOOKS]:
        # Of a hostile body a changed byte may have made the id of another, and a repeat is dropped on purpose.
        if b"good" in (record.value or b""):
            _demand(seen, ("deliveries", topics.WEBHOOKS, record.partition, record.offset), report)
    for (topic, partition, offset), each in places.items():
        for stage, sources in SOURCES.items():
            if topic in sources and (not each.readable or stage == "patients"):
                _demand(seen, (stage, topic, partition, offset), report)
    keys = {record.key for record in found[topics.PATIENTS]}
    report.missing += [f"good {number}" for number in range(goods) if b"good-patient-%d" % number not in keys]


def _demand(seen: set[Outcome], outcome: Outcome, report: Report) -> None:
    if outcome not in seen:
        report.missing.append("/".join(map(str, outcome)))


def _outcome_of(name: str, report: Report) -> Callable[[Any], Outcome]:
    """Return what tells of a record of topic `name` which stage made it of which record."""

    def outcome(record: Any) -> Outcome:
        told = {key: value for key, value in record.headers if value is not None}
        if name.startswith("quarantine."):
            stage, topic = name.removeprefix("quarantine."), told["x-quarantine-topic"].decode()
            report.reasons[f"{stage} {told['x-quarantine-reason'].decode()}"] += 1
            place = told["x-quarantine-partition"], told["x-quarantine-offset"]
        else:
            topic, *place = told.get("x-source", b"//").decode("utf-8", "replace").rsplit("/", 3)
            stage = "deliveries" if topic == PREFIX + topics.WEBHOOKS else _owner(name)
        numbers = [int(part) if part.isdigit() and len(part) < 20 else -1 for part in (*place, "", "")]
        return stage, topic.removeprefix(PREFIX), numbers[0], numbers[1]

    return outcome


def _owner(topic: str) -> str:
    if topic in (topics.PATIENTS, topics.BULK_JOBS, topics.REQUESTS):
        return "patients"
    return "bundles" if topic.startswith("fhir.") else "links"


async def campaign(servers: str, folder: Path, *, bodies: int, records: int, seed: int = 1) -> Report:
    """Run it all; return what came out."""
    header_names.accept()  # in the reader of this drill, too
    report, begun_at = Report(bodies=bodies, good=bodies // EVERY), time.monotonic()
    ingress = Ingress(servers, folder, partitions=PARTITIONS)
    await processes.run("topics", "apply", environment=ingress.environment, log=folder / "topics.log")
    names = dict.fromkeys(topic for sources in SOURCES.values() for topic in sources)
    places = await write(servers, {topic: odd(topic, records, seed) for topic in names})
    report.odd_records = len(places)
    environment = {
        **ingress.environment,
        "WORKER_PORT": "0",
        "BLOB_STORE_URL": f"file://{folder}/blobs",
        "BUNDLE_ORDER_WAIT_S": "0",
        "STUCK_TIMEOUT_S": "60",
    }
    workers = [Workers(stage, environment, folder) for stage in SOURCES]
    hostile_ones, sent = hostile(bodies, seed), list[bytes]()
    for number in range(report.good):
        sent += [next(hostile_ones) for _ in range(EVERY)]
        sent.append(good(number))
    try:
        await ingress.start()
        for each in workers:
            await each.start("one")
        async with sender(ingress.url) as posting:
            await posting.until_ready(path="kafka")
        await post(ingress.url, sent, report)
        async with Reading(servers, PREFIX, PARTITIONS) as reading:
            await settled(reading, workers)
            report.ended = {each.stage: code for each in workers for code in each.codes()}
            report.memory_mb = {each.stage: max(each.memory_mb()) for each in workers if not each.codes()}
            await judge(reading, places, report.good, report)
    finally:
        for each in workers:
            await each.close()
        await ingress.kill()
    report.seconds = round(time.monotonic() - begun_at)
    return report


async def main(arguments: list[str]) -> int:
    """Run the whole campaign on a broker of its own; 0 if all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bodies", type=int, default=10_000)
    parser.add_argument("--records", type=int, default=200, help="for each source topic")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kafka = await stack.enter_async_context(broker.running(folder / "broker"))
        report = await campaign(
            kafka.bootstrap_servers, folder, bodies=options.bodies, records=options.records, seed=options.seed
        )
        sys.stdout.write(f"{report}\n")
        if not report.well:
            show_logs(folder)
    return 0 if report.well else 1


def show_logs(folder: Path) -> None:
    """Print the end of every log."""
    for log in sorted(folder.glob("*.log")):
        sys.stdout.write(f"--- {log.name}\n{log.read_text()[-3000:]}\n")


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
