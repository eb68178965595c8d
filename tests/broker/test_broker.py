import fcntl
import os
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from cli import broker
from cli.broker import process, record
from cli.broker.errors import AlreadyRunning, PortTaken, Unreachable

HOLD_A_BROKER = """
import asyncio, pathlib, sys
from cli import broker
async def hold():
    async with broker.running(pathlib.Path(sys.argv[1])):
        print("ready", flush=True)
        await asyncio.sleep(600)
asyncio.run(hold())
"""


@pytest.fixture
def lines():
    return []


@pytest.fixture
def finished_process():
    """Id of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as finished:
        pass
    return finished.pid


@pytest.fixture
async def started(tmp_path, lines):
    """Start brokers as often as a test wants, all ended with it."""
    brokers = []

    async def start(**options):
        brokers.append(await broker.start(tmp_path, say=lines.append, **options))
        return brokers[-1]

    yield start
    for each in reversed(brokers):
        await each.stop()
    await broker.stop(tmp_path)


def gone(folder):
    """Wait until no broker lives on the folder: the lock is the broker's, so it is waited for like any lock."""
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    return True


def ended(running):
    """Wait until the launcher has seen the end of its broker, and say whether the broker is gone."""
    running.launcher.wait(30)
    return not process.exists(running.pid)


@asynccontextmanager
async def administration(running):
    client = AIOKafkaAdminClient(bootstrap_servers=running.bootstrap_servers)
    await client.start()
    yield client
    await client.close()


async def test_a_started_broker_answers_and_a_stopped_one_is_gone(tmp_path, started):
    running = await started()
    before = await broker.status(tmp_path)
    await running.stop()
    after = await broker.status(tmp_path)

    assert (before.state, before.bootstrap_servers, before.pid) == ("running", running.bootstrap_servers, running.pid)
    assert after.state == "stopped"
    assert not process.exists(running.pid)


async def test_a_broker_needs_nothing_of_the_machine_but_python(tmp_path, started, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)

    running = await started()

    assert (await broker.status(tmp_path)).state == "running"
    await running.stop()


async def test_a_killed_broker_is_said_and_its_data_is_there_after_the_next_start(tmp_path, started, lines):
    first = await started()
    async with administration(first) as admin:
        await admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
    os.kill(first.pid, signal.SIGKILL)
    gone(tmp_path)
    between = await broker.status(tmp_path)

    second = await started()

    async with administration(second) as admin:
        assert await admin.list_topics() == ["kept"]
    assert between.state == "killed"
    assert any("was killed" in line for line in lines)


async def test_a_stopped_process_is_found_silent_and_can_still_be_ended(tmp_path, started, monkeypatch):
    running = await started()
    monkeypatch.setattr("cli.broker.readiness.METADATA_TIMEOUT_MS", 300)
    os.kill(running.pid, signal.SIGSTOP)

    found = await broker.status(tmp_path)

    assert found.state == "silent"
    assert await broker.stop(tmp_path)
    assert ended(running)


@pytest.mark.parametrize("launcher_too", [False, True], ids=["the starter", "the starter and the launcher"])
def test_a_broker_does_not_outlive_the_kill_of(tmp_path, launcher_too):
    if launcher_too and sys.platform != "linux":
        pytest.skip("only Linux tells a process that its parent is gone")
    holder = subprocess.Popen([sys.executable, "-c", HOLD_A_BROKER, str(tmp_path)], stdout=subprocess.PIPE)
    with holder, holder.stdout:
        assert holder.stdout.readline() == b"ready\n"
        launcher = record.read(tmp_path).launcher_pid

        holder.kill()
        if launcher_too:
            os.kill(launcher, signal.SIGKILL)

        assert gone(tmp_path)


async def test_a_detached_broker_is_shared_by_the_next_start_and_runs_on(tmp_path, started, lines):
    first = await started(tied=False)
    second = await started()
    await second.stop()

    assert second.bootstrap_servers == first.bootstrap_servers
    assert (await broker.status(tmp_path)).state == "running"
    assert any("runs already" in line for line in lines)
    assert await broker.stop(tmp_path)


async def test_a_folder_that_another_run_uses_is_refused(started):
    await started()

    with pytest.raises(AlreadyRunning, match="belongs to another run"):
        await started()


async def test_a_broker_whose_run_is_gone_is_ended_and_replaced(tmp_path, started, lines, finished_process):
    orphan = await started()
    record.write(tmp_path, replace(record.read(tmp_path), launcher_pid=finished_process))

    heir = await started()

    assert ended(orphan)
    assert heir.pid != orphan.pid
    assert any("left behind" in line for line in lines)


async def test_a_port_that_is_taken_is_refused_with_what_to_do(tmp_path, started):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(PortTaken, match=f"Port {port} is taken. Choose another"):
            await started(port=port)

    assert (await broker.status(tmp_path)).state == "stopped"


async def test_a_broker_on_a_given_port_can_come_back_on_it(started):
    first = await started()
    port = int(first.bootstrap_servers.rpartition(":")[2])
    await first.stop()

    second = await started(port=port)

    assert second.bootstrap_servers == first.bootstrap_servers


async def test_a_given_kafka_is_used_and_none_is_started(tmp_path, kafka):
    async with broker.running(tmp_path / "unused", given=kafka) as running:
        assert running.bootstrap_servers == kafka

    assert not (tmp_path / "unused").exists()


async def test_a_given_kafka_that_does_not_answer_is_unreachable(tmp_path):
    with pytest.raises(Unreachable, match=r"No Kafka answers at 127\.0\.0\.1:1"):
        await broker.running(tmp_path, given="127.0.0.1:1").__aenter__()
