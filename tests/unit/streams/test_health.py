from types import SimpleNamespace

from prometheus_client import generate_latest

from models import telemetry
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
