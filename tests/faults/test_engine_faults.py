import pytest

from cli import broker
from tests.faults.engine import SLICE, run, sound


@pytest.fixture
async def kafka(tmp_path):
    async with broker.running(tmp_path / "broker") as running:
        yield running.bootstrap_servers


async def test_workers_killed_wiped_and_joined_lose_and_repeat_nothing(kafka):
    found = await run(kafka, SLICE)

    assert sound(found), found
