"""A topic that lost its last records: found by the stage, told until an operator decides, gone on from."""

import asyncio
import json
import os
import sys

import pytest
from aiokafka.admin import NewTopic

from tests.broker.small_stage import ROOT, Stage


def bodies(first: int, end: int, kind: str = "some.type") -> list[bytes]:
    when = "2026-01-01T00:00:00.000Z"
    return [
        json.dumps({"meta": {"messageId": f"{kind}-{number}", "when": when, "type": kind}}).encode()
        for number in range(first, end)
    ]


class Installation(Stage):
    """The topics of the service with one partition, and its `deliveries` stage."""

    async def command(self, *arguments: str) -> tuple[int, list]:
        command = (sys.executable, "-m", "cli", *arguments, "--json")
        made = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=-1, env=self.environment)
        printed, _ = await made.communicate()
        return made.returncode, json.loads(printed)

    async def deliver(self) -> asyncio.subprocess.Process:
        with (self.folder / "one.log").open("ab") as log:
            command = (sys.executable, "-m", "streams.stage", "deliveries")
            worker = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, stdout=log, stderr=log, env=self.environment
            )
        self.workers.append(worker)
        return worker

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "TOPIC_PREFIX": self.prefix,
            "TOPIC_PARTITIONS": "1",
            "TOPIC_REPLICATION": "1",
            "STATE_DIR": str(self.folder / "state"),
            "WORKER_PORT": "0",
        }


@pytest.fixture
async def installation(kafka, topic_prefix, tmp_path):
    made = Installation(kafka, topic_prefix, tmp_path)
    await made.command("topics", "apply")
    yield made
    await made.close()


async def test_nothing_is_skipped_when_a_topic_lost_its_end_and_has_grown_past_what_was_read(installation, admin):
    await installation.send(*bodies(0, 50), topic="webhooks")
    worker = await installation.deliver()
    await installation.read("unrecognised", 50, partitions=1)
    worker.terminate()
    await worker.wait()
    await admin.delete_topics([f"{installation.prefix}webhooks"])
    await asyncio.sleep(1)
    await admin.create_topics([NewTopic(f"{installation.prefix}webhooks", 1, 1)])
    await installation.send(*bodies(0, 38), *bodies(0, 52, "later.type"), topic="webhooks")

    await installation.deliver()
    await installation.says("the topic lost its last records and has grown since")
    shown = await installation.command("topics", "accept")
    accepted = await installation.command("topics", "accept", "webhooks/0")

    written = await installation.read("unrecognised", 102, partitions=1)
    assert [record.value for record in written] == [*bodies(0, 50), *bodies(0, 52, "later.type")]
    assert [(code, row["stage"], row["accepted"]) for code, [row] in (shown, accepted)] == [
        (1, "deliveries", False),
        (0, "deliveries", True),
    ]
    [told] = await installation.read("audit", 1, partitions=1)
    assert json.loads(told.value)["command"].startswith(f"topics accept {installation.prefix}webhooks/0 --from ")
