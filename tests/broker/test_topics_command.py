import json

import pytest

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
    first = command("topics", "apply")
    second = command("topics", "apply")

    assert first == (0, {"created": [f"{topic_prefix}{topic.name}" for topic in catalogue()], "differences": []})
    assert second == (0, {"created": [], "differences": []})


def test_the_list_shows_which_topics_are_not_there(command):
    code, rows = command("topics", "list")

    assert code == 0
    assert {row["partitions"] for row in rows} == {None}


@pytest.fixture
async def three_partitions(topics):
    """Name of a topic that somebody made with three partitions."""
    [name] = await topics("webhooks", partitions=3)
    return name


@pytest.fixture
async def short_and_small(topics):
    """Name of a topic that somebody made with a short life, small records and compaction."""
    configs = {"retention.ms": "1000", "max.message.bytes": "1000", "cleanup.policy": "compact"}
    [name] = await topics("webhooks", partitions=2, configs=configs)
    return name


def test_a_topic_with_another_partition_count_keeps_all_others_from_being_created(command, three_partitions):
    code, printed = command("topics", "apply")

    assert (code, printed["created"]) == (1, [])
    assert {"topic": three_partitions, "what": "partitions", "found": "3", "wanted": "2"} in printed["differences"]


def test_a_topic_that_breaks_its_promises_is_named_with_each_of_them(command, short_and_small):
    code, printed = command("topics", "apply")

    assert code == 1
    assert {(each["topic"], each["what"]) for each in printed["differences"]} == {
        (short_and_small, "cleanup.policy"),
        (short_and_small, "retention.ms"),
        (short_and_small, "max.message.bytes"),
    }


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
