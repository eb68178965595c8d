"""The worker as an operator meets it: its children, its exit codes."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from models.stages import STAGES
from tests.journeys.conftest import command

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _children(pid):
    finder = await asyncio.create_subprocess_exec(
        "ps", "-o", "pid=,stat=", "--ppid", str(pid), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await finder.communicate()
    rows = [line.split() for line in output.decode().splitlines()]
    return {int(number) for number, state in rows if not state.startswith("Z")}


async def _until(condition):
    async with asyncio.timeout(60):
        while not (found := await condition()):  # noqa: ASYNC110 - another process has no event of ours
            await asyncio.sleep(0.05)
    return found


async def _start(service, tmp_path):
    """Start a worker of its own group and state; return it with its two stages' process ids."""
    environment = service.environment | {"STATE_DIR": str(tmp_path), "WORKER_PORT": "0", "TOPIC_PREFIX": service.prefix}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        "worker",
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def both():
        found = await _children(process.pid)
        return found if len(found) == len(STAGES) else None

    return process, await _until(both)


async def _gone(pids):
    finder = await asyncio.create_subprocess_exec(
        "ps", "-o", "stat=", "-p", ",".join(map(str, pids)), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await finder.communicate()
    # A zombie is gone; only its new parent has not noticed yet.
    return all(state.startswith("Z") for state in output.decode().split())


async def test_a_stage_that_dies_is_started_again(service, tmp_path):
    process, stages = await _start(service, tmp_path)
    victim = min(stages)

    os.kill(victim, signal.SIGKILL)

    async def back():
        found = await _children(process.pid)
        return len(found) == len(STAGES) and victim not in found

    await _until(back)
    process.terminate()
    assert await process.wait() == 0


async def test_sigterm_ends_the_worker_and_all_its_stages(service, tmp_path):
    process, stages = await _start(service, tmp_path)

    process.terminate()

    assert await process.wait() == 0
    assert await _gone(stages)


async def test_no_stage_outlives_a_worker_that_was_killed(service, tmp_path):
    process, stages = await _start(service, tmp_path)

    process.kill()

    await process.wait()
    await _until(lambda: _gone(stages))


async def test_an_unknown_stage_is_a_usage_error_that_names_the_stages(service):
    code, output, problems = await command("worker", "downloads", environment=service.environment)

    assert code == 2
    assert "deliveries" in output + problems


async def test_a_kafka_that_does_not_answer_is_said_with_its_address(service):
    code, output, problems = await command(
        "worker", environment=service.environment | {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    )

    assert code == 3
    assert "127.0.0.1:1" in output + problems


async def test_missing_settings_are_named(service):
    environment = service.environment | {"KAFKA_BOOTSTRAP_SERVERS": ""}

    code, output, problems = await command("worker", environment=environment)

    assert code == 2
    assert "KAFKA_BOOTSTRAP_SERVERS" in output + problems


@pytest.mark.parametrize("stage", STAGES)
async def test_fausts_own_command_runs_a_stage(service, tmp_path, stage):
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("faust")),
        "-A",
        f"streams.{stage}",
        "worker",
        env={**os.environ, **service.environment, "STATE_DIR": str(tmp_path)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )

    async with asyncio.timeout(90):
        while b"output_tails_read" not in (line := await process.stderr.readline()):
            assert line, "it ended before it had partitions"

    process.terminate()
    await process.communicate()
    assert process.returncode == 0
