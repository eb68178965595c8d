import asyncio
import json

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from cli.main import main
from models.topics import catalogue


@pytest.fixture
def command(kafka, topic_prefix, monkeypatch, tmp_path, capsys):
    """Run `metriport-streams …` against the tests' Kafka and return its exit code and what it printed as JSON."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("TOPIC_PREFIX", topic_prefix)
    monkeypatch.setenv("TOPIC_REPLICATION", "1")
    monkeypatch.setenv("TOPIC_PARTITIONS", "2")

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--json"])
        printed = capsys.readouterr().out
        return ended.value.code, json.loads(printed) if printed else None

    return run


def test_every_topic_of_the_catalogue_is_created_once(command, topic_prefix):
    every = [f"{topic_prefix}{topic.name}" for topic in catalogue()]
    first = command("topics", "apply")
    second = command("topics", "apply")

    assert first == (0, {"created": every, "mended": [], "differences": []})
    assert second == (0, {"created": [], "mended": [], "differences": []})


def test_the_list_shows_which_topics_are_not_there(command):
    code, rows = command("topics", "list")

    assert code == 0
    assert {row["partitions"] for row in rows} == {None}


@pytest.fixture
async def one_partition(topics):
    """Name of a topic that somebody made with one partition."""
    [name] = await topics("webhooks", partitions=1)
    return name


@pytest.fixture
async def short_and_small(topics):
    """Name of a topic that somebody made with a short life, small records and compaction, and a setting of his own."""
    configs = {
        "retention.ms": "1000",
        "retention.bytes": "1000",
        "max.message.bytes": "1000",
        "cleanup.policy": "compact",
        "unclean.leader.election.enable": "true",
        "message.timestamp.type": "CreateTime",
        "segment.bytes": "1048576",
        "file.delete.delay.ms": "7000",
    }
    [name] = await topics("webhooks", partitions=2, configs=configs)
    return name


@pytest.fixture
async def state_that_expires(topics):
    """Name of a topic of newest states that somebody made without compaction."""
    configs = {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime", "retention.ms": "-1"}
    [name] = await topics("patients", partitions=2, configs=configs)
    return name


def test_a_topic_with_too_few_partitions_keeps_all_others_from_being_created(command, one_partition):
    code, printed = command("topics", "apply", "--mend")

    assert (code, printed["created"], printed["mended"]) == (1, [], [])
    assert (one_partition, "partitions", "1", "2", False) in {tuple(each.values()) for each in printed["differences"]}


def test_a_topic_that_breaks_its_promises_is_named_with_each_of_them(command, short_and_small):
    code, printed = command("topics", "apply")

    assert code == 1
    assert {(each["topic"], each["what"]) for each in printed["differences"]} == {
        (short_and_small, "cleanup.policy"),
        (short_and_small, "retention.ms"),
        (short_and_small, "retention.bytes"),
        (short_and_small, "max.message.bytes"),
        (short_and_small, "unclean.leader.election.enable"),
        (short_and_small, "message.timestamp.type"),
        (short_and_small, "segment.bytes"),
        (short_and_small, "flush.messages"),
    }
    _, rows = command("topics", "list")
    assert "retention.bytes 1000" in next(row["differs"] for row in rows if row["topic"] == short_and_small)


async def test_what_takes_nothing_away_is_mended_and_what_somebody_set_besides_stays(command, admin, short_and_small):
    code, printed = await asyncio.to_thread(command, "topics", "apply", "--mend")

    assert (code, printed["mended"], printed["differences"]) == (0, [short_and_small], [])
    [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, short_and_small)])
    config = {entry[0]: entry[1] for entry in response.resources[0][4]}
    assert config["file.delete.delay.ms"] == "7000"
    assert (config["retention.bytes"], config["cleanup.policy"]) == ("-1", "delete")


def test_what_would_take_records_away_is_left_to_a_person(command, state_that_expires):
    code, printed = command("topics", "apply", "--mend")

    assert printed["mended"] == [state_that_expires]
    left = {(each["topic"], each["what"], each["mendable"]) for each in printed["differences"]}
    assert (code, left) == (1, {(state_that_expires, "cleanup.policy", False)})


@pytest.mark.usefixtures("command")
def test_more_copies_than_brokers_are_refused_with_what_to_set(monkeypatch, capsys):
    monkeypatch.setenv("TOPIC_REPLICATION", "3")
    with pytest.raises(SystemExit) as ended:
        main(["topics", "apply"])

    assert ended.value.code == 2
    assert "TOPIC_REPLICATION is 3" in capsys.readouterr().err


def test_a_kafka_that_is_away_is_unreachable(command, monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")

    assert command("topics", "apply") == (3, None)


def test_settings_that_are_wrong_are_a_matter_of_usage(command, monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "nowhere")

    assert command("topics", "apply") == (2, None)


async def test_the_list_by_groups_says_how_many_records_each_has_before_it(command, kafka, topics, topic_prefix):
    [name] = await topics("patients", partitions=2)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for _ in range(5):
            await producer.send_and_wait(name, b"{}", partition=0)
    group = f"{topic_prefix}team"
    async with AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign([TopicPartition(name, 0)])
        await consumer.commit({TopicPartition(name, 0): 2})

    code, rows = await asyncio.to_thread(command, "topics", "list", "--groups")

    assert code == 0
    assert next(row["groups"] for row in rows if row["topic"] == name) == [{"group": group, "lag": 3}]


def test_nothing_is_accepted_for_a_topic_that_no_stage_has(command):
    assert command("topics", "accept", "patiens/0") == (2, None)
    assert command("topics", "accept", "webhooks/2") == (2, None)
