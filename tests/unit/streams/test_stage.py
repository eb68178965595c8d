"""The stage's process, as it is before it meets Kafka."""

import subprocess
import sys

# In a process of its own: it makes uvloop the loop of everything that follows.
BUILD = """
import sys
from pathlib import Path
from models.settings import WorkerSettings
from streams.stage import build

settings = WorkerSettings(kafka_bootstrap_servers="nowhere:1", state_dir=Path(sys.argv[1]))
print(type(build("deliveries", settings).app.loop).__module__)
"""


def test_a_stage_runs_on_uvloop(tmp_path):
    command = [sys.executable, "-c", BUILD, str(tmp_path / "state")]
    built = subprocess.run(command, check=True, capture_output=True, text=True)

    assert built.stdout.strip() == "uvloop"
