from cli import broker
from tests.faults.hostile_records import campaign


async def test_hostile_bodies_and_odd_records_end_no_stage_and_cost_no_neighbour(tmp_path):
    async with broker.running(tmp_path / "broker") as kafka:  # its own: the topics have their usual names
        report = await campaign(kafka.bootstrap_servers, tmp_path, bodies=200, records=10)

    assert report.well, report
