import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from aiokafka.record.util import calc_crc32c

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
def command(kafka, topic_prefix, monkeypatch, tmp_path, capsys):
    """Run `metriport-streams tail …` and return its exit code, its lines and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("TOPIC_PREFIX", topic_prefix)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["tail", *arguments])
        printed, said = capsys.readouterr()
        return ended.value.code, printed.splitlines(), said

    return run


@pytest.fixture
def tail(command):
    """Run it to the end of what is there and return its exit code and lines."""
    return lambda *arguments: command(*arguments, "--from-start", "--no-follow")[:2]


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


@pytest.fixture
async def week(kafka, topics):
    """Name of a topic with one record for each of seven days, of three patients in turn."""
    [topic] = await topics("fhir.state.Patient", partitions=4)
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        for day in range(1, 8):
            await producer.send_and_wait(
                topic,
                b'{"day": %d}' % day,
                key=b"p-%d/Patient/1" % (day % 3),
                partition=day % 3,
                timestamp_ms=int(datetime(2026, 1, day, tzinfo=UTC).timestamp() * 1000),
                headers=[("x-message-id", b"m-%d" % day), ("x-change", b"updated")],
            )
    return topic


def days(lines):
    return [json.loads(line)["value"]["day"] for line in lines]


@pytest.mark.parametrize(
    ("stretch", "shown"),
    [
        (["--since", "2026-01-03T00:00Z"], [3, 4, 5, 6, 7]),
        (["--since", "2026-01-03T00:00Z", "--until", "2026-01-05T00:00:00Z"], [3, 4]),
        (["--until", "2026-01-02T00:00:01Z"], [1, 2]),
        ([], [1, 2, 3, 4, 5, 6, 7]),
        (["--message-id", "m-6"], [6]),
        (["--since", "1d"], []),
    ],
)
@pytest.mark.usefixtures("week")
def test_a_stretch_of_time_is_shown_in_order_and_to_its_end(command, stretch, shown):
    code, lines, _ = command("fhir.state.Patient", "--no-follow", "--values", "--json", *stretch)

    assert (code, days(lines)) == (0, shown)


@pytest.mark.usefixtures("week")
def test_following_ends_where_the_stretch_does(command):
    code, lines, _ = command("fhir.state.Patient", "--values", "--json", "--until", "2026-01-05T00:00Z")

    assert (code, days(lines)) == (0, [1, 2, 3, 4])


@pytest.fixture
async def of_two_patients(kafka, topics):
    """Names of two topics with records of two patients, the second with partitions that somebody added."""
    [first] = await topics("patients", partitions=4)
    [second] = await topics("requests", partitions=9)
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        for patient in (b"p-1", b"p-2"):
            place = (murmur2(patient) & 0x7FFFFFFF) % 4
            await producer.send_and_wait(first, b"{}", key=patient, partition=place)
            await producer.send_and_wait(second, b"{}", key=patient + b"/r-1", partition=place)
    return [first, second]


def test_one_patients_records_are_found_in_every_topic(command, of_two_patients, monkeypatch):
    monkeypatch.setenv("TOPIC_PARTITIONS", "4")

    _, lines, _ = command("patients", "requests", "--patient", "p-1", "--no-follow", "--json")

    shown = [json.loads(line) for line in lines]
    assert [each["topic"] for each in shown] == of_two_patients
    assert shown[0]["key"] == "p-1"
    assert shown[1]["key"].startswith("~")


class Renamed:
    """A batch with a header name that is no text: no client for Python writes one of its own accord."""

    def __init__(self, builder):
        self._builder = builder

    def __getattr__(self, name):
        return getattr(self._builder, name)

    def build(self):
        data = bytearray(bytes(self._builder.build()).replace(b"x-oddd", b"x-o\xffdd"))
        struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
        return data


async def test_a_header_name_that_is_no_utf8_is_shown_and_ends_nothing(command, kafka, topics):
    [topic] = await topics("webhooks", partitions=1)
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        batch = producer.create_batch()
        batch.append(timestamp=1, key=None, value=b"{}", headers=[("x-oddd", b"1")])
        batch._builder = Renamed(batch._builder)
        await (await producer.send_batch(batch, topic, partition=0))
        await producer.send_and_wait(topic, b"{}")

    code, lines, _ = await asyncio.to_thread(command, "webhooks", "--no-follow", "--json")

    assert code == 0
    assert [list(json.loads(line)["headers"]) for line in lines] == [["x-o\\xffdd"], []]


def test_a_mistyped_topic_is_answered_with_what_may_be_meant(command):
    code, lines, said = command("fhir.change")

    assert (code, lines) == (2, [])
    assert "Did you mean fhir.changes" in said


@pytest.mark.usefixtures("webhooks")
def test_who_waits_for_what_comes_is_told_of_what_is_there(kafka, topic_prefix):
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": kafka, "TOPIC_PREFIX": topic_prefix}
    command = [sys.executable, "-m", "cli", "tail", "webhooks"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        said = running.stderr.readline().decode()
        running.send_signal(signal.SIGINT)
        running.wait(30)

    assert "3 records are there already: --from-start" in said
    assert running.returncode == 0
