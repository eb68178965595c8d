"""`run` as a newcomer meets it: nothing set but a key, in an empty folder."""

import asyncio
import json
import os
import sys

import pytest

from cli.broker import ports

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def environment():
    unset = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "TOPIC_"))}
    return unset | {
        "METRIPORT_WEBHOOK_KEYS": "wh-key_0123456789",
        "INGRESS_PORT": str(ports.free(1)[0]),
        "WORKER_PORT": "0",
    }


async def _start(*arguments, environment, folder):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        *arguments,
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _until(words, stream):
    said = ""
    async with asyncio.timeout(180):
        while words not in said:
            line = await stream.readline()
            assert line, said
            said += line.decode()
    return said


async def test_it_says_where_its_kafka_is_and_commands_find_it_without_being_told(environment, tmp_path):
    run = await _start("run", environment=environment, folder=tmp_path)
    said = await _until("Ready for webhooks", run.stderr)
    listed = await _start("topics", "list", "--json", environment=environment, folder=tmp_path)
    output, _ = await listed.communicate()
    run.terminate()
    await run.communicate()

    assert f"Kafka is at 127.0.0.1:{(tmp_path / 'var/broker/port').read_text().strip()}" in said
    assert listed.returncode == 0
    assert {topic["differs"] for topic in json.loads(output)} == {""}
    assert run.returncode == 0


async def test_a_wrong_setting_of_one_stage_starts_nothing(environment, tmp_path):
    run = await _start("run", environment=environment | {"VALUE_BYTES_MAX": "300"}, folder=tmp_path)
    output, said = await run.communicate()

    assert run.returncode == 2
    assert (output, said) == (b"", b"VALUE_BYTES_MAX: must be greater than or equal to 1024.\n")
    assert not (tmp_path / "var/service.log").exists()
