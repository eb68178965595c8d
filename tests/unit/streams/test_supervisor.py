"""When a stage is started again."""

import os
import subprocess
import sys

import pytest

from streams.supervisor import FIRST_PAUSE_S, HEALTHY_AFTER_S, LAST_PAUSE_S, pause_after


@pytest.mark.parametrize(
    ("previous_s", "ran_s", "expected"),
    [
        pytest.param(0.0, 1.0, FIRST_PAUSE_S, id="first-time"),
        pytest.param(0.5, 1.0, 1.0, id="again-soon"),
        pytest.param(LAST_PAUSE_S, 1.0, LAST_PAUSE_S, id="no-longer-than-the-longest"),
        pytest.param(LAST_PAUSE_S, HEALTHY_AFTER_S, FIRST_PAUSE_S, id="after-a-healthy-run"),
    ],
)
def test_the_pause_grows_until_a_stage_ran_well(previous_s, ran_s, expected):
    assert pause_after(previous_s, ran_s=ran_s) == expected


# In a process of its own: it has a loop, and children of its own.
SUPERVISE = """
import asyncio, sys
from streams.supervisor import supervise

sys.exit(asyncio.run(supervise(["bundles"], stop_timeout_s=5)))
"""


def test_a_stage_that_ends_for_its_settings_is_not_started_again_and_its_exit_code_goes_up(tmp_path):
    wrong = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "FHIR_LEVEL": "x", "STATE_DIR": str(tmp_path)}

    ended = subprocess.run(
        [sys.executable, "-c", SUPERVISE],
        env=os.environ | wrong,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert (ended.stdout + ended.stderr).count("stage_started") == 1
