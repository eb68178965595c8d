"""A slice of `tests.faults.hostile_bundles`."""

import pytest

from tests.faults.hostile_bundles import campaign

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_hostile_bundles_end_in_their_own_outcomes_and_their_neighbours_come_out_whole(kafka, tmp_path):
    report = await campaign(kafka, tmp_path, count=60, large=False)

    assert (report.ended, report.silent, report.wrong) == ("", [], [])
    assert report.most_mb < 500
