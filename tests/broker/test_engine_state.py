"""The engine's local state and its changelog, when one of them is not what the other takes it for."""

import asyncio
import shutil
import signal

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from tests.broker.small_stage import BIG, CHANGELOG

SETTINGS = {"partitions": 1}


async def stopped(worker) -> None:
    worker.send_signal(signal.SIGTERM)
    await worker.wait()


@pytest.fixture
async def forgetful(stage, admin, topics):
    """Make `forget()`, which does to the changelog what compaction does in time: what was deleted has left no trace."""
    await admin.delete_topics([f"{stage.prefix}{CHANGELOG}"])
    await asyncio.sleep(1)
    [name] = await topics(CHANGELOG, partitions=1, configs={**BIG, "cleanup.policy": "compact,delete"})

    async def forget() -> None:
        before = await stage.end(CHANGELOG)
        await admin.delete_records({TopicPartition(name, 0): RecordsToDelete(before_offset=before)})
        await stage.send(b"10", topic=CHANGELOG, key=f"\0pos/{stage.prefix}in".encode())

    return forget


async def test_an_old_state_folder_does_not_bring_back_what_was_finished_since(stage, forgetful):
    await stage.send(*(b"%d" % number for number in range(10)))
    worker = await stage.work("list", **SETTINGS)
    await stage.read(CHANGELOG, 11, partitions=1)
    await stopped(worker)
    shutil.copytree(stage.folder / "one", stage.folder / "old")
    worker = await stage.work("fetch", **SETTINGS)
    await stage.read("out", 10, partitions=1)
    await stopped(worker)
    await forgetful()

    await stage.work("fetch", "old", **SETTINGS, tail_records=1)
    await stage.send(b"10")

    written = [record.value for record in await stage.read("out", 11, partitions=1)]
    assert sorted(written, key=int) == [b"%d" % number for number in range(11)]
    assert "reason=unlike_changelog" in stage.log("old")
