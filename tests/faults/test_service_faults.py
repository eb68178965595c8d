from tests.faults.stages import SLICE, run, sound


async def test_stages_killed_wiped_and_joined_lose_and_repeat_nothing_and_know_every_patient(kafka):
    report = await run(kafka, SLICE)

    assert sound(report), report
