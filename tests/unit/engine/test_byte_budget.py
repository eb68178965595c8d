import asyncio

from streams.engine.kafka.byte_budget import ByteBudget


async def test_bytes_beyond_the_budget_wait_until_some_are_given_back():
    budget = ByteBudget(10)
    taken = await budget.take(8)
    waiting = asyncio.ensure_future(budget.take(5))
    await asyncio.sleep(0)
    before = waiting.done()

    budget.give(taken)

    assert (before, await waiting) == (False, 5)


async def test_something_larger_than_the_budget_goes_alone():
    budget = ByteBudget(10)

    assert await budget.take(1000) == 10


async def test_the_first_to_come_is_the_first_to_go_although_a_smaller_one_would_fit():
    budget = ByteBudget(10)
    taken = await budget.take(5)
    large, small = asyncio.ensure_future(budget.take(9)), asyncio.ensure_future(budget.take(2))
    await asyncio.sleep(0)

    budget.give(taken)

    assert (await large, small.done()) == (9, False)
    budget.give(9)
    await small


async def test_a_waiter_that_gave_up_takes_nothing():
    budget = ByteBudget(10)
    taken = await budget.take(10)
    waiting = asyncio.ensure_future(budget.take(5))
    await asyncio.sleep(0)
    waiting.cancel()

    budget.give(taken)

    assert await budget.take(10) == 10
