"""Ctrl-C twice, at any time: no traceback. It goes to all processes of a terminal, so to a whole group here."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

PATIENCE_S = 60

SUPERVISE = (
    "import asyncio; from streams.supervisor import supervise; asyncio.run(supervise(['links'], stop_timeout_s=5))"
)
# Others to end that take their time, as a broker does.
WORK = """
import asyncio
from cli import interrupts

async def work():
    print("begun", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("ending", flush=True)
        await asyncio.sleep(0.3)
        print("ended", flush=True)

print(interrupts.run(work()))
"""


@pytest.fixture
def interrupted(tmp_path):
    """Run Python until it says each of `moments`, with Ctrl-C at each; return the exit code and what was said."""

    def run(*arguments, moments):
        environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
            "METRIPORT_WEBHOOK_KEYS": "wh-key_0123456789abc",
            "SPOOL_DIR": str(tmp_path / "spool"),
            "STATE_DIR": str(tmp_path / "state"),
            "INGRESS_HOST": "127.0.0.1",
            "INGRESS_PORT": "0",
            "WORKER_PORT": "0",
        }
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        # Nothing is waited for so long; without this a moment that never comes would be waited for without end.
        patience = threading.Timer(PATIENCE_S, process.kill)
        patience.start()
        said = ""
        for moment in moments:
            while moment not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
        said += process.communicate()[0]
        patience.cancel()
        return process.returncode, said

    return run


def quiet(said):
    return not any(word in said for word in ("Traceback", "KeyboardInterrupt", "Exception ignored"))


@pytest.mark.parametrize("command", [["ingress"], ["cli", "worker"]], ids=" ".join)
def test_while_it_is_loaded_a_command_ends_without_a_word(interrupted, command):
    code, said = interrupted("-X", "importtime", "-m", *command, moments=[" pydantic\n"] * 2)

    assert quiet(said)
    assert code == -signal.SIGINT


def test_the_ingress_ends_in_order(interrupted):
    code, said = interrupted("-m", "ingress", moments=['"listening"', '"stopping"'])

    assert quiet(said)
    assert code == 0


def test_the_worker_ends_in_order_and_its_stages_do_not_hear_of_it(interrupted):
    code, said = interrupted("-c", SUPERVISE, moments=["stage_started"] * 2)

    assert quiet(said)
    assert code == 0


def test_a_command_with_others_to_end_ends_them_once(interrupted):
    code, said = interrupted("-c", WORK, moments=["begun", "ending"])

    assert (code, said) == (0, "begun\nending\nended\nNone\n")
