"""Slices of the drills in `tests.faults.links`, and of the campaign in `tests.faults.hostile_links`."""

import pytest

from tests.faults.hostile_links import campaign
from tests.faults.links import Drill, drill

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_links_that_hang_or_drip_keep_no_good_one_from_the_store(kafka, tmp_path):
    report = await drill(Drill(good=300, hanging=60, slow_hosts=5, links_per_delivery=10), kafka, tmp_path)

    assert report.outcomes["good stored"] == 300
    assert (report.missing, report.repeated, report.wrong, report.left_over) == (0, 0, 0, [])


async def test_a_killed_worker_loses_repeats_and_leaves_nothing(kafka, tmp_path):
    report = await drill(
        Drill(good=200, links_per_delivery=10, kills=2, life_s=600, serve_after_s=5.0), kafka, tmp_path
    )

    assert report.outcomes["good stored"] == report.blobs == 200
    assert (report.missing, report.repeated, report.wrong, report.left_over) == (0, 0, 0, [])


async def test_links_and_bulk_results_that_mean_harm_stop_nothing_and_are_told_each(kafka, tmp_path):
    report = await campaign(kafka, tmp_path, every=14)

    assert report.findings == []
    assert report.hostile == report.neighbours > 30
