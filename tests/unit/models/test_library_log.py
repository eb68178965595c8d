"""What libraries and crashes leave in the log: events like all others, without what they were given."""

import json
import logging
import subprocess
import sys

import pytest
from aiokafka.errors import GroupCoordinatorNotAvailableError

from models import library_log

SECRET = "p-1-secret"

CRASH = f"""
import asyncio, logging, threading, warnings
from models import telemetry

telemetry.configure(style="json")
telemetry.take_crashes()
logging.getLogger("aiokafka.conn").warning("Unable connect to node %s of %s: %s", 7, "{SECRET}", ValueError("{SECRET}"))
logging.getLogger("lib").error("Failed for {SECRET!r}\\nsecond line")
logging.getLogger("lib").info("not told")
warnings.warn("{SECRET}")
try:
    raise KeyError("{SECRET}")
except KeyError:
    logging.getLogger("lib").exception("It broke")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()


async def main():
    async def lost():
        raise ValueError("{SECRET}")

    task = asyncio.ensure_future(lost())
    await asyncio.sleep(0)
    del task


asyncio.run(main())
try:
    raise ValueError("{SECRET}")
except ValueError as error:
    raise RuntimeError("{SECRET}") from error
"""


def test_every_line_is_an_event_and_none_has_a_value():
    ended = subprocess.run(
        [sys.executable, "-W", "default", "-c", CRASH], capture_output=True, text=True, timeout=60, check=False
    )

    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == 1
    assert SECRET not in ended.stderr
    assert [line["event"] for line in lines].count("library_said") == 5
    assert "UserWarning" in {line.get("sentence") for line in lines}
    assert lines[0]["sentence"] == "Unable connect to node 7 of ...: ValueError"
    assert lines[-1] | {"timestamp": 0} == {
        "event": "crashed",
        "level": "critical",
        "error": "RuntimeError < ValueError",
        "where": ["<string>:33 <module>"],
        "timestamp": 0,
    }
    assert [line["error"] for line in lines if line["event"] == "thread_crashed"] == ["ZeroDivisionError"]


@pytest.mark.parametrize(
    ("message", "arguments", "said"),
    [
        ("Topic %s not found", ("secret",), "Topic ... not found"),
        ("%(a)s and %(b)d", {"a": "secret", "b": 2}, "... and 2"),
        ("%d records", ("secret",), "%d records"),
        ("Failed: secret", (), "Failed"),
        ("Task was lost\nfuture: <secret>", None, "Task was lost"),
        (ValueError("secret"), (), "ValueError"),
    ],
)
def test_numbers_are_kept_and_every_other_value_is_left_out(message, arguments, said):
    assert library_log.sentence(message, arguments) == said


def test_what_kafkas_client_tries_again_is_no_error_and_is_said_once_in_a_while():
    said, now = [], [0.0]
    handler = library_log.Handler(lambda *facts, **more: said.append((*facts, more)), clock=lambda: now[0])
    line = logging.LogRecord(
        "aiokafka",
        logging.ERROR,
        "",
        0,
        "Group Coordinator Request failed: %s",
        (GroupCoordinatorNotAvailableError(),),
        None,
    )

    for now[0] in (0.0, 0.1, 9.9, 10.0):
        handler.emit(line)

    [first, second] = said
    assert first == second
    assert first[:2] == (logging.WARNING, "library_said")
    assert first[2]["sentence"] == "Group Coordinator Request failed: GroupCoordinatorNotAvailableError"
