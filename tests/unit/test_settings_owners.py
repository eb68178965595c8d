"""Who declares which setting, and who reads it."""

import subprocess
import sys
from collections import Counter
from itertools import chain
from pkgutil import resolve_name

import pytest

from ingress.settings import IngressSettings
from models.settings import CatalogueSettings, Settings
from models.stages import STAGES

PROCESSES = (IngressSettings, CatalogueSettings, *(resolve_name(stage.settings) for stage in STAGES.values()))

# Read where the process begins, or by the command that starts it.
OF_THE_PROCESS = {"log_level", "log_format", "worker_host", "worker_port"}
WITH_A_CERTIFICATE = {"kafka_ssl_keyfile"}

# In a process of its own: a stage makes uvloop the loop of everything that follows.
READ = """
import sys
from pathlib import Path
from streams import settings, stage

class Watched:
    def __init__(self, found):
        self.found, self.read = found, set()
    def __getattr__(self, name):
        self.read.add(name)
        return getattr(self.found, name)

name, folder = sys.argv[1:]
found = Watched(settings.of_stage(
    name, _env_file=None, kafka_bootstrap_servers="kafka:9092", kafka_security_protocol="SSL", state_dir=folder,
    **({"blob_store_url": "memory://"} if name in {"links", "bundles"} else {})
))
stage.build(name, found)
print(*sorted(set(type(found.found).model_fields) - found.read))
"""


def test_a_setting_is_declared_in_one_class_only():
    classes = {each for each in chain.from_iterable(kind.__mro__ for kind in PROCESSES) if issubclass_of_ours(each)}
    declared = Counter(name for each in classes for name in each.__annotations__ if name in each.model_fields)

    assert [name for name, times in declared.items() if times > 1] == []


def issubclass_of_ours(kind):
    return issubclass(kind, Settings) and kind is not Settings


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_loads_only_what_it_uses(stage, tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", READ, stage, str(tmp_path)], check=True, capture_output=True, text=True, timeout=60
    )

    assert set(run.stdout.split()) - OF_THE_PROCESS - WITH_A_CERTIFICATE == set()


@pytest.mark.parametrize("kind", PROCESSES)
def test_every_setting_says_what_it_is(kind):
    assert [name for name, field in kind.model_fields.items() if not field.description] == []
