import platform
import re
from types import SimpleNamespace

import pytest
from prometheus_client import generate_latest

from models import telemetry
from models.build import VERSION
from streams import health
from streams.engine.health import Health
from streams.engine.work.positions import PartitionProgress


def worker(*partitions):
    progress = {partition: PartitionProgress(5, 1, 2.0) for partition in partitions}
    told = Health(ready=True, waiting_for="", partitions=progress, stuck_s=0.0)
    return SimpleNamespace(settings=SimpleNamespace(stage="moving"), health=lambda: told, state_bytes=1)


def lines():
    return [line for line in generate_latest(telemetry.REGISTRY).decode().splitlines() if 'stage="moving"' in line]


def test_a_partition_that_moved_away_is_not_told_of_any_more():
    health._measure(worker(("in", 0), ("in", 1)))
    health._measure(worker(("in", 1)))

    assert {'partition="0"' in line for line in lines()} == {False}
    assert sum('partition="1"' in line for line in lines()) == 3


def test_a_stage_tells_of_its_process_and_its_build():
    told = generate_latest(telemetry.REGISTRY).decode()

    assert f'metriport_build_info{{python="{platform.python_version()}",version="{VERSION}"}} 1.0' in told
    assert "\nprocess_resident_memory_bytes " in told
    assert "\nprocess_open_fds " in told


METRICS = {metric.name: metric.documentation for metric in telemetry.REGISTRY.collect()}


@pytest.mark.parametrize("name", METRICS)
def test_what_a_metric_is_can_be_read_without_the_others(name):
    assert len(METRICS[name].split()) >= 3
    assert not re.search(r"\b(of|to|for) that\b|^(It|They|That|This)\b", METRICS[name])
