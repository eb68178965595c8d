import json

import pytest
from aiokafka import AIOKafkaProducer

from cli.main import main


@pytest.fixture
async def webhooks(kafka, topics):
    """Name of a topic with three records of two patients."""
    [topic] = await topics("webhooks", partitions=2)
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        for number, patient in enumerate((b"p-1", b"p-2", b"p-1")):
            headers = [("ce_type", b"patient.admit")]
            await producer.send_and_wait(topic, b"secret %d" % number, key=patient, headers=headers)
    return topic


@pytest.fixture
def tail(kafka, topic_prefix, monkeypatch, tmp_path, capsys):
    """Run `metriport-streams tail …` to the end of what is there and return its exit code and lines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("TOPIC_PREFIX", topic_prefix)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["tail", *arguments, "--from-start", "--no-follow"])
        return ended.value.code, capsys.readouterr().out.splitlines()

    return run


def test_every_record_there_is_is_shown_without_its_value(tail, webhooks):
    code, lines = tail("webhooks", "--json")

    shown = [json.loads(line) for line in lines]
    assert code == 0
    assert [(each["topic"], each["headers"]["ce_type"]) for each in shown] == [(webhooks, "patient.admit")] * 3
    assert "secret" not in "".join(lines)


@pytest.mark.usefixtures("webhooks")
def test_values_are_shown_when_asked_for(tail):
    _, lines = tail("webhooks", "--values", "--key", "p-2")

    assert lines[-1].strip() == "secret 1"


@pytest.mark.usefixtures("webhooks")
def test_one_patient_can_be_followed_by_the_key(tail):
    _, lines = tail("webhooks", "--json", "--key", "p-1")

    assert [json.loads(line)["key"] for line in lines] == ["p-1", "p-1"]


@pytest.mark.usefixtures("webhooks")
def test_it_ends_after_as_many_records_as_asked_for(tail):
    _, lines = tail("webhooks", "--json", "--count", "1")

    assert len(lines) == 1


def test_a_topic_that_is_not_there_is_a_matter_of_usage(tail):
    assert tail("nothing") == (2, [])
