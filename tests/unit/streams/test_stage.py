"""The stage's process, as it is before it meets Kafka."""

import os
import subprocess
import sys

# In a process of its own: it makes uvloop the loop of everything that follows.
BUILD = """
import sys
from pathlib import Path
from streams.deliveries.settings import DeliveriesSettings
from streams.stage import build

settings = DeliveriesSettings(kafka_bootstrap_servers="nowhere:1", state_dir=Path(sys.argv[1]))
print(type(build("deliveries", settings).app.loop).__module__)
"""


def test_a_stage_runs_on_uvloop(tmp_path):
    command = [sys.executable, "-c", BUILD, str(tmp_path / "state")]
    built = subprocess.run(command, check=True, capture_output=True, text=True)

    assert built.stdout.strip() == "uvloop"


def test_wrong_settings_that_only_one_stage_has_end_it_with_a_sentence_and_the_code_for_usage(tmp_path):
    settings = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "FHIR_LEVEL": "max", "STATE_DIR": str(tmp_path)}

    ended = subprocess.run(
        [sys.executable, "-m", "streams.stage", "bundles"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "FHIR_LEVEL: must be 'off', 'structure' or 'lint'.\n"
