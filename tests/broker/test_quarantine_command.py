"""Quarantine on a real Kafka, with the real stages: seen, released when its cause is gone, dropped."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from cli import processes
from cli.main import main
from models import samples

ARRIVE_TIMEOUT_S = 90
GOOD = json.dumps(samples.load("patient.admit")).encode()


@pytest.fixture
async def service(kafka, topic_prefix, tmp_path, monkeypatch):
    """Topics, and a way to run commands and stages against them."""
    monkeypatch.chdir(tmp_path)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TOPIC_PREFIX": topic_prefix,
        "TOPIC_PARTITIONS": "2",
        "TOPIC_REPLICATION": "1",
        "FHIR_STATE_TYPES": "Observation",
        "STATE_DIR": str(tmp_path / "state"),
        "BLOB_STORE_URL": (tmp_path / "blobs").as_uri(),
        "WORKER_PORT": "0",
        "SESSION_TIMEOUT_S": "6",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    await processes.run("topics", "apply", environment=environment, log=tmp_path / "log")
    return SimpleNamespace(kafka=kafka, prefix=topic_prefix, environment=environment, log=tmp_path / "log")


@pytest.fixture
def quarantine(service, capsys):  # noqa: ARG001 - the commands read its environment
    """Run `metriport-streams quarantine …` in a thread; return exit code, output and what it tells people."""

    async def run(*arguments):
        def command():
            with pytest.raises(SystemExit) as ended:
                main(["quarantine", *arguments])
            return ended.value.code

        code = await asyncio.to_thread(command)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


async def send(service, topic, *records):
    async with AIOKafkaProducer(bootstrap_servers=service.kafka) as producer:
        for value, given in records:
            await producer.send_and_wait(
                service.prefix + topic, value, key=b"p-1", partition=1, headers=list(given.items())
            )


async def records(service, topic, count):
    """Return the records of a topic once there are `count`."""
    found = []
    async with (
        AIOKafkaConsumer(
            service.prefix + topic, bootstrap_servers=service.kafka, auto_offset_reset="earliest"
        ) as consumer,
        asyncio.timeout(ARRIVE_TIMEOUT_S),
    ):
        while len(found) < count:
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found += batch
    return found


def worker(service, name):
    return processes.child("worker", name, environment=service.environment, log=service.log)


async def quarantined(service, *values, stage="deliveries", topic="webhooks", reason=b"not_json", attempt=b"1"):
    """Records in quarantine as a stage writes them."""
    facts = {
        "ce_type": b"patient.admit",
        "x-quarantine-reason": reason,
        "x-quarantine-topic": f"{service.prefix}{topic}".encode(),
        "x-quarantine-partition": b"1",
        "x-quarantine-timestamp": b"1700000000000",
        "x-quarantine-attempt": attempt,
    }
    await send(
        service,
        f"quarantine.{stage}",
        *[(value, facts | {"x-quarantine-offset": b"%d" % offset}) for offset, value in enumerate(values)],
    )


async def test_what_waits_is_counted_by_stage_and_reason(service, quarantine):
    await quarantined(service, b"a", b"b")
    await quarantined(service, b"c", reason=b"no_type")

    code, out, _ = await quarantine("list", "--json")

    assert (code, [(row["stage"], row["reason"], row["records"]) for row in json.loads(out)]) == (
        1,
        [("deliveries", "no_type", 1), ("deliveries", "not_json", 2)],
    )


async def test_nothing_is_released_before_it_is_said(service, quarantine):
    await quarantined(service, b"a")

    code, _, said = await quarantine("release", "--stage", "deliveries")

    assert (code, "1 records would be released" in said) == (0, True)
    assert len(json.loads((await quarantine("show", "--json"))[1])) == 1


async def test_a_released_record_comes_to_its_outcome_once_however_often_it_is_released(service, quarantine):
    await quarantined(service, GOOD)
    async with worker(service, "deliveries"):
        await quarantine("release", "--all", "--yes")
        (first,) = await records(service, "patient.admit", 1)
        again = await quarantine("release", "quarantine.deliveries/1/0", "--yes")
        await quarantined(service, GOOD)
        await quarantine("release", "--all", "--yes")
        await quarantined(service, b"end")
        await quarantine("release", "--reason", "not_json", "--yes")
        await records(service, "quarantine.deliveries", 4)

    assert again[0] == 1
    assert dict(first.headers)["x-released"].decode() == f"{service.prefix}quarantine.deliveries/1/0"
    assert len(await records(service, "patient.admit", 1)) == 1


async def test_what_fails_again_waits_again_with_one_attempt_more(service, quarantine):
    await quarantined(service, b"still broken", b"also broken")
    async with worker(service, "deliveries"):
        await quarantine("release", "--all", "--yes")
        await records(service, "quarantine.deliveries", 4)

    _, out, _ = await quarantine("show", "--json")
    assert [(row["attempts"], row["came from"].rpartition("/")[2]) for row in json.loads(out)] == [(2, "0"), (2, "1")]


async def test_what_failed_too_often_is_released_by_its_name_only(service, quarantine):
    await quarantined(service, b"a", attempt=b"5")

    by_filter = await quarantine("release", "--all", "--yes")
    by_name = await quarantine("release", "quarantine.deliveries/1/0", "--yes")

    assert (by_filter[0], by_name[0]) == (1, 0)


async def test_an_outcome_of_a_link_is_shown_and_not_released(service, quarantine):
    await send(
        service,
        "quarantine.links",
        (b"{}", {"ce_type": b"quarantine", "x-quarantine-reason": b"wrong_hash", "x-quarantine-topic": b"x"}),
    )

    code, _, said = await quarantine("release", "--stage", "links", "--yes")

    assert (code, "Metriport has to be asked again" in said) == (1, True)


async def test_what_is_not_whole_in_quarantine_is_released_from_its_source(service, quarantine):
    await send(service, "webhooks", (b"zero", {}), (GOOD, {"x-own": b"1"}))
    await send(
        service,
        "quarantine.deliveries",
        (
            None,
            {
                "x-quarantine-reason": b"too_large",
                "x-quarantine-topic": f"{service.prefix}webhooks".encode(),
                "x-quarantine-partition": b"1",
                "x-quarantine-offset": b"1",
                "x-quarantine-timestamp": b"1",
                "x-quarantine-attempt": b"1",
                "x-quarantine-left-out": b"value=9",
            },
        ),
    )

    await quarantine("release", "--all", "--yes")

    (record,) = await records(service, "release.deliveries", 1)
    assert (record.value, dict(record.headers)["x-own"]) == (GOOD, b"1")


async def test_parts_of_one_record_release_it_once_and_wait_no_more(service, quarantine):
    await send(service, "bundles", (b"{}", {}))
    facts = {
        "x-quarantine-topic": f"{service.prefix}bundles".encode(),
        "x-quarantine-partition": b"1",
        "x-quarantine-offset": b"0",
        "x-quarantine-timestamp": b"1",
        "x-quarantine-attempt": b"1",
        "x-quarantine-reason": b"crashed",
    }
    await send(service, "quarantine.bundles", (b"one resource", facts), (b"another", facts))

    code, out, _ = await quarantine("release", "--stage", "bundles", "--yes", "--json")

    released = [record for record in await records(service, "release.bundles", 2) if record.value == b"{}"]
    assert (code, json.loads(out)["released"], len(released)) == (0, 2, 1)
    assert (await quarantine("list", "--stage", "bundles"))[0] == 0


async def test_one_record_that_two_stages_refused_is_released_to_both(service, quarantine):
    await send(service, "patient.admit", (GOOD, {}))
    facts = {
        "x-quarantine-topic": f"{service.prefix}patient.admit".encode(),
        "x-quarantine-partition": b"1",
        "x-quarantine-offset": b"0",
        "x-quarantine-reason": b"too_large",
        "x-quarantine-left-out": b"value=9",
    }
    await send(service, "quarantine.links", (None, facts))
    await send(service, "quarantine.patients", (None, facts))

    await quarantine("release", "--all", "--yes")

    for stage in ("links", "patients"):
        (released,) = await records(service, f"release.{stage}", 1)
        assert released.value == GOOD


async def test_a_record_whose_source_is_gone_is_told_and_keeps_no_other_waiting(service, quarantine):
    gone = {
        "x-quarantine-topic": b"no.such.topic",
        "x-quarantine-partition": b"0",
        "x-quarantine-offset": b"0",
        "x-quarantine-reason": b"too_large",
        "x-quarantine-left-out": b"value=9",
    }
    await send(service, "quarantine.deliveries", (None, gone))
    await quarantined(service, GOOD)

    code, out, _ = await quarantine("release", "--all", "--yes", "--json")

    assert (code, json.loads(out)["released"], json.loads(out)["lost"]) == (1, 1, 1)


async def test_a_record_too_large_for_its_topic_is_told_and_keeps_no_other_waiting(service, quarantine, admin):
    await quarantined(service, b"x" * 100_000, GOOD)
    topic = ConfigResource(
        ConfigResourceType.TOPIC, f"{service.prefix}release.deliveries", {"max.message.bytes": "9000"}
    )
    await admin.alter_configs([topic])

    code, out, _ = await quarantine("release", "--all", "--yes", "--json")

    assert (code, json.loads(out)["released"], json.loads(out)["lost"]) == (1, 1, 1)


async def test_what_is_dropped_is_listed_no_more_and_told_with_its_reason(service, quarantine):
    await quarantined(service, b"a", b"b")

    await quarantine("drop", "quarantine.deliveries/1/0", "--because", "a test of the sender", "--yes")

    _, out, _ = await quarantine("show", "--json")
    (told,) = await records(service, "audit", 1)
    assert [row["place"].rpartition("/")[2] for row in json.loads(out)] == ["1"]
    assert json.loads(told.value)["says"] == "1 records dropped: a test of the sender"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["release", "--yes"], "Say which"),
        (["drop", "--because", "x", "--yes"], "Say which"),
        (["drop", "--all", "--because", " "], "needs a reason"),
        (["list", "--stage", "delivery"], "There is no stage"),
        (["list", "--from", "yesterday"], "is no time"),
    ],
)
async def test_a_mistake_is_one_sentence(quarantine, arguments, says):
    code, _, said = await quarantine(*arguments)

    assert (code, says in said, len(said.splitlines())) == (2, True, 1)
