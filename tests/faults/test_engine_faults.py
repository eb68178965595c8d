from tests.faults.engine import SLICE, run, sound


async def test_workers_killed_wiped_and_joined_lose_and_repeat_nothing(kafka):
    found = await run(kafka, SLICE)

    assert sound(found), found
