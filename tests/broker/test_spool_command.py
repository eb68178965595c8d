"""What is set aside reaches `webhooks`, in order and once."""

import asyncio
import json

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from cli.main import main
from ingress import set_aside
from ingress.records import Delivery
from ingress.spool_file import FILE_NAME, SpoolFile
from models import topics as catalogue

RECEIVED_AT = "2026-01-02T03:04:05.000Z"


def delivery(number: int) -> Delivery:
    body = {"meta": {"messageId": f"m-{number}"}, "payload": {"patientId": "p-1"}, "filler": "x" * 1500}
    return Delivery(json.dumps(body).encode(), RECEIVED_AT)


@pytest.fixture
async def webhooks(topics) -> str:
    [topic] = await topics(catalogue.WEBHOOKS, partitions=1)
    return topic


@pytest.fixture
def folder(tmp_path, kafka, topic_prefix, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "TOPIC_PREFIX": topic_prefix,
        "TOPIC_PARTITIONS": "1",
        "SPOOL_DIR": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def run(capsys, *arguments: str):
    with pytest.raises(SystemExit) as ended:
        main(["spool", *arguments, "--json"])
    return ended.value.code, json.loads(capsys.readouterr().out)


async def test_what_can_be_read_is_sent_in_order_and_only_once(folder, kafka, webhooks, capsys):
    spool = SpoolFile(folder / FILE_NAME, bytes_max=2**30)
    spool.add([delivery(number) for number in range(1500)])
    spool.close()
    file = folder / FILE_NAME
    # One page in the middle is gone, with the two deliveries in it.
    at = file.stat().st_size // 2 // 4096 * 4096
    data = file.read_bytes()
    file.write_bytes(data[:at] + bytes(4096) + data[at + 4096 :])
    set_aside.set_aside(file)

    code, [first] = await asyncio.to_thread(run, capsys, "salvage")
    again, [second] = await asyncio.to_thread(run, capsys, "salvage")

    assert (code, again) == (1, 1)
    assert (first["sent"], first["missing"], second["sent"]) == (1498, 2, 0)
    async with AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False) as consumer:
        partition = TopicPartition(webhooks, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        found: list[bytes] = []
        while len(found) < 1498:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [record.value for record in records]
        assert (await consumer.end_offsets([partition]))[partition] == 1498
    assert found == [body for body in (delivery(number).body for number in range(1500)) if body in set(found)]
