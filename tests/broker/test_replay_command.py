"""Records sent again: what a plan counts is what is sent, once each, whatever ends the sending."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from cli.main import main

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
TYPES = ("patient.admit", "patient.discharge", "network-query.hie")
OPEN = {"retention.ms": "-1"}


def received(number):
    return (BEGIN + timedelta(minutes=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
async def recorded(kafka, topics):
    """Two topics with 300 records each of ten patients, and what is in them: [(topic, ce_id, facts)]."""
    names = await topics("webhooks", "patient.admit", "audit", partitions=4, configs=OPEN)
    there = []
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all", linger_ms=5) as producer:
        for topic in names[:2]:
            for number in range(300):
                facts = {
                    "patient": f"p-{number % 10}",
                    "type": TYPES[number % 3],
                    "message": f"m-{number // 2}",
                    "request": f"r-{number % 7}",
                    "number": number,
                }
                ce_id = f"{topic}-{number}"
                there.append((topic, ce_id, facts))
                await producer.send(
                    topic,
                    json.dumps({"requestId": facts["request"], "patientId": facts["patient"]}).encode(),
                    key=facts["patient"].encode(),
                    headers=[
                        ("ce_id", ce_id.encode()),
                        ("ce_type", facts["type"].encode()),
                        ("x-message-id", facts["message"].encode()),
                        ("x-received-at", received(number).encode()),
                    ],
                )
        await producer.flush()
    return there


@pytest.fixture
def environment(kafka, topic_prefix, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    said = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "TOPIC_PREFIX": topic_prefix, "TOPIC_PARTITIONS": "4"}
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    return {**os.environ, **said}


@pytest.fixture
def replay(environment, capsys):  # noqa: ARG001 - the command reads it
    """Run `metriport-streams replay …` in a thread, as it has a loop of its own; return exit code and output."""

    async def run(*arguments):
        def command():
            with pytest.raises(SystemExit) as ended:
                main(["replay", *arguments])
            return ended.value.code

        code = await asyncio.to_thread(command)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
async def mine(kafka, admin, topic_prefix):
    """A topic of the reader's own, and what those who read committed records find in it."""
    from aiokafka.admin import NewTopic  # noqa: PLC0415

    name = f"mine-{topic_prefix}x"
    await admin.create_topics([NewTopic(name, num_partitions=4, replication_factor=1)])

    async def found():
        consumer = AIOKafkaConsumer(
            name, bootstrap_servers=kafka, auto_offset_reset="earliest", isolation_level="read_committed"
        )
        records = []
        async with consumer:
            ends = await consumer.end_offsets(consumer.assignment())
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    records += batch
        return records

    return name, found


def ids(records):
    return [dict(record.headers)["ce_id"].decode() for record in records]


async def test_what_is_sent_is_what_was_planned_with_id_and_key_and_a_mark(replay, recorded, mine, tmp_path):
    name, found = mine
    await replay("plan", "webhooks", "--type", "patient.admit", "--out", "plan.json")

    code, _, said = await replay("apply", "plan.json", "--to", name)
    assert code == 0, said

    records = await found()
    meant = {ce_id for topic, ce_id, facts in recorded if "webhooks" in topic and facts["type"] == "patient.admit"}
    assert code == 0
    assert sorted(ids(records)) == sorted(meant)
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert {dict(record.headers)["x-reemitted-by"].decode() for record in records} == {plan["planId"]}
    assert {record.key for record in records} == {json.loads(record.value)["patientId"].encode() for record in records}


async def test_a_plan_that_was_applied_sends_nothing_more(replay, recorded, mine):  # noqa: ARG001
    name, found = mine
    await replay("plan", "webhooks", "--out", "plan.json")
    await replay("apply", "plan.json", "--to", name)

    code, _, said = await replay("apply", "plan.json", "--to", name)

    assert (code, len(await found())) == (0, 300)
    assert "0 records sent; 300 of 300 in all" in said


def options(draw):
    """Some selection, as the command's options and as a question about the facts of one record."""
    asked, tests = [], []
    if draw.random() < 0.5:
        first = draw.randrange(300)
        asked += ["--from", received(first)]
        tests.append(lambda facts: facts["number"] >= first)
    if draw.random() < 0.5:
        last = draw.randrange(300)
        asked += ["--until", received(last)]
        tests.append(lambda facts: facts["number"] < last)
    for option, name, values in (
        ("--type", "type", TYPES),
        ("--patient", "patient", [f"p-{number}" for number in range(11)]),
        ("--request-id", "request", [f"r-{number}" for number in range(8)]),
    ):
        if draw.random() < 0.4:
            value = draw.choice(values)
            asked += [option, value]
            tests.append(lambda facts, name=name, value=value: facts[name] == value)
    return asked, lambda facts: all(test(facts) for test in tests)


@pytest.mark.parametrize("seed", range(int(os.environ.get("REPLAY_SELECTIONS", "8"))))
async def test_any_selection_is_counted_and_sent_exactly(replay, recorded, mine, seed):
    name, found = mine
    draw = random.Random(seed)
    asked, takes = options(draw)
    topics = draw.choice([["webhooks"], ["patient.admit"], ["webhooks", "patient.admit"]])
    meant = {ce_id for topic, ce_id, facts in recorded if takes(facts) and any(topic.endswith(each) for each in topics)}

    code, _, _ = await replay("plan", *topics, *asked, "--out", "plan.json")
    if meant:
        applied, _, _ = await replay("apply", "plan.json", "--to", name, "--max", "70")
        assert applied == (0 if len(meant) <= 70 else 1)
        await replay("apply", "plan.json", "--to", name)

    assert code == (0 if meant else 1)
    assert sorted(ids(await found())) == sorted(meant)


async def test_killed_three_times_it_sends_each_record_once(replay, recorded, mine, environment, tmp_path):
    name, found = mine
    await replay("plan", "webhooks", "patient.admit", "--out", "plan.json")
    command = [sys.executable, "-m", "cli", "replay", "apply", str(tmp_path / "plan.json"), "--to", name]

    for enough in (60, 150, 240):
        child = subprocess.Popen([*command, "--rate", "50"], env=environment, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        try:
            async with asyncio.timeout(60):
                while len(await found()) < enough and child.poll() is None:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
    code, _, _ = await replay("apply", "plan.json", "--to", name)

    assert code == 0
    assert sorted(ids(await found())) == sorted(ce_id for _, ce_id, _ in recorded)


async def test_only_what_a_topic_lacks_is_sent(replay, recorded, mine):
    name, found = mine
    await replay("plan", "webhooks", "--patient", "p-3", "--out", "some.json")
    await replay("apply", "some.json", "--to", name)

    await replay("plan", "webhooks", "--missing-in", name, "--out", "rest.json")
    await replay("apply", "rest.json", "--to", name)

    assert sorted(ids(await found())) == sorted(ce_id for topic, ce_id, _ in recorded if "webhooks" in topic)


async def test_a_record_can_be_where_it_begins(replay, recorded, mine, tmp_path):  # noqa: ARG001
    name, found = mine
    await replay("plan", "webhooks", "--patient", "p-3", "--out", "one.json")
    plan = json.loads((tmp_path / "one.json").read_text())
    span = next(span for span in plan["spans"] if span["selected"])

    await replay("plan", "webhooks", "--since", f"webhooks/{span['partition']}/{span['end'] - 1}", "--out", "p.json")
    await replay("apply", "p.json", "--to", name)

    numbers = sorted(int(each.rsplit("-", 1)[1]) for each in ids(await found()))
    assert numbers == list(range(numbers[0], 300))


@pytest.mark.parametrize("to", ["{prefix}webhooks", "{prefix}anything", "__consumer_offsets"])
async def test_a_topic_of_the_service_is_refused(replay, recorded, topic_prefix, to):  # noqa: ARG001
    await replay("plan", "webhooks", "--out", "plan.json")

    code, _, said = await replay("apply", "plan.json", "--to", to.format(prefix=topic_prefix))

    assert (code, "the service's own" in said) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], "There is no topic"),
        (["webhooks", "--from", "yesterday"], "is no time"),
        (["webhooks", "--from", "2026-11-25T09:00"], "has no zone"),
        (["webhooks", "--since", "webhooks"], "is no record"),
        (["webhooks", "--since", "webhooks/0/999999"], "There is no record"),
        (["webhooks", "--since", "webhooks/77/0"], "There is no partition"),
        (["webhooks", "--missing-in", "nothing"], "There is no topic"),
    ],
)
async def test_a_mistake_is_one_sentence(replay, recorded, arguments, says):  # noqa: ARG001
    code, _, said = await replay("plan", *arguments)

    assert (code, says in said, len(said.splitlines())) == (2, True, 1)


async def test_nothing_meant_writes_no_plan(replay, recorded, tmp_path):  # noqa: ARG001
    code, _, said = await replay("plan", "webhooks", "--type", "nothing")

    assert (code, list(tmp_path.glob("*.json"))) == (1, [])
    assert "there is no plan" in said


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan["spans"][0].update(selected=plan["spans"][0]["selected"] - 1),
        lambda plan: plan.update(records=1),
        lambda plan: plan.update(plan=2),
        lambda plan: plan.update(extra=1),
        lambda plan: plan.update(cluster="another"),
        lambda plan: plan.update(topicPrefix="other."),
        lambda plan: plan.update(createdAt="2026-01-01T00:00:00Z"),
    ],
)
async def test_a_plan_that_does_not_fit_is_refused(replay, recorded, mine, change, tmp_path):  # noqa: ARG001
    name, found = mine
    await replay("plan", "webhooks", "--out", "plan.json")
    plan = json.loads((tmp_path / "plan.json").read_text())
    change(plan)
    (tmp_path / "plan.json").write_text(json.dumps(plan))

    code, _, said = await replay("apply", "plan.json", "--to", name)

    assert (code, await found()) == (2, [])
    assert said


async def test_a_plan_is_for_its_owner_only_and_is_not_written_over(replay, recorded, tmp_path):  # noqa: ARG001
    await replay("plan", "webhooks", "--out", "plan.json")

    code, _, said = await replay("plan", "webhooks", "--out", "plan.json")

    assert ((tmp_path / "plan.json").stat().st_mode & 0o777, code) == (0o600, 2)
    assert "exists" in said


async def test_what_was_sent_again_is_told_in_audit_without_whom(replay, recorded, mine, kafka, topic_prefix):  # noqa: ARG001
    name, _ = mine
    await replay("plan", "webhooks", "--patient", "p-3", "--out", "plan.json")
    await replay("apply", "plan.json", "--to", name)

    consumer = AIOKafkaConsumer(f"{topic_prefix}audit", bootstrap_servers=kafka, auto_offset_reset="earliest")
    async with consumer, asyncio.timeout(60):
        told = [json.loads((await consumer.getone()).value) for _ in range(2)]

    assert [each["says"].split(": ")[1] for each in sorted(told, key=lambda each: each["at"])] == [
        "30 records, begun",
        "30 records sent, 30 of 30 in all",
    ]
    assert "p-3" not in json.dumps(told)
