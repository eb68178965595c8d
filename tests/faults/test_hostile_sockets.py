"""A slice of the drill in `tests.faults.hostile_sockets`."""

from tests.faults.hostile_sockets import SLICE, run, sound


async def test_strangers_of_every_kind_keep_no_delivery_out_and_hear_only_the_contracts_answers():
    report = await run(SLICE)

    assert sound(report), report
