"""The engine as a process of its own, on a real Kafka."""

import asyncio
import signal

import pytest

from tests.broker.small_stage import BIG, CHANGELOG


async def test_several_sources_share_one_state_and_each_output_names_its_own(stage):
    await stage.send(b"1", b"2")
    await stage.send(b"3", topic="other")

    await stage.work("copy", sources=["in", "other"])

    found = {record.value: dict(record.headers)["x-source"].decode() for record in await stage.read("out", 3)}
    expected = {b"1": "in/0/0/0", b"2": "in/0/1/0", b"3": "other/0/0/0"}
    assert found == {value: stage.prefix + source for value, source in expected.items()}


async def test_a_record_of_33_mib_passes_with_its_bytes(stage):
    large = bytes(range(256)) * (33 * 2**20 // 256)
    await stage.send(large)

    await stage.work("copy")

    assert (await stage.read("out", 1))[0].value == large


async def test_a_record_that_becomes_too_large_for_kafka_is_in_quarantine_with_its_bytes(stage):
    await stage.send(b"x" * 2_000_000, b"small")

    await stage.work("copy", record_bytes_max=2_000_500)

    assert [record.value for record in await stage.read("out", 1)] == [b"small"]
    (refused,) = await stage.read("quarantine", 1)
    assert (len(refused.value), dict(refused.headers)["x-quarantine-reason"]) == (2_000_000, b"too_large")


async def test_a_topic_that_was_made_again_stops_the_worker_with_what_to_do(stage, admin, topics):
    await stage.send(b"1", b"2", b"3")
    worker = await stage.work("copy")
    await stage.read(CHANGELOG, 2)
    worker.send_signal(signal.SIGTERM)
    await worker.wait()
    await admin.delete_topics([f"{stage.prefix}in"])
    await asyncio.sleep(1)
    await topics("in", partitions=2, configs=BIG)

    await stage.work("copy")

    await stage.says("it was deleted and made again")


async def test_a_state_ahead_of_its_changelog_stops_the_worker_with_what_to_do(stage, admin, topics):
    await stage.send(b"1", b"2", b"3")
    worker = await stage.work("copy")
    await stage.read(CHANGELOG, 2)
    worker.send_signal(signal.SIGTERM)
    await worker.wait()
    await admin.delete_topics([f"{stage.prefix}{CHANGELOG}"])
    await asyncio.sleep(1)
    await topics(CHANGELOG, partitions=2, configs=BIG)

    worker = await stage.work("copy")

    assert await asyncio.wait_for(worker.wait(), 40) == 70
    assert "delete this stage's state folder" in stage.log()


async def test_a_foreign_record_in_an_output_ends_the_worker_at_its_next_write(stage):
    await stage.send(b"1")
    worker = await stage.work("copy")
    await stage.read("out", 1)
    await stage.send(b"foreign", topic="out")

    await stage.send(b"2")

    assert await asyncio.wait_for(worker.wait(), 40) == 70
    assert "somebody else writes here" in stage.log()


async def test_long_work_gives_way_to_a_second_worker_and_nothing_is_repeated(stage):
    await stage.send(b"60", b"60")
    await stage.send(b"60", partition=1)
    await stage.work("walk")
    await stage.read("out", 20)

    await stage.work("walk", name="two")

    records = await stage.read("out", 180)
    texts = [[record.value for record in records if record.partition == number] for number in range(2)]
    expected = [b"%d.%d" % (offset, step) for offset in range(2) for step in range(60)]
    assert texts == [expected, expected[:60]]
    assert "output_tails_read" in stage.log("two")


async def test_long_work_does_not_hold_up_the_end(stage):
    await stage.send(b"100000")
    worker = await stage.work("walk", stop_timeout_s=15.0)
    await stage.read("out", 3)

    worker.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(worker.wait(), 12) == 0


@pytest.mark.parametrize(
    ("value", "sentence"), [(b"block", "the event loop has not turned"), (b"wait", "nothing has moved")]
)
async def test_a_worker_that_is_stuck_is_ended(stage, value, sentence):
    await stage.send(value)

    worker = await stage.work("hang", stuck_timeout_s=4.0)

    assert await asyncio.wait_for(worker.wait(), 40) == 70
    assert sentence in stage.log()


@pytest.mark.parametrize(
    ("job", "value", "deaths"),
    [("die", b"block", 2), ("die", b"crash", 2), ("die", b"kill", 5), ("hang", b"wait", 2)],
)
async def test_a_record_that_ends_the_worker_again_and_again_is_in_quarantine_and_its_neighbours_are_out(
    stage, job, value, deaths
):
    await stage.send(b"fine", value, b"fine")
    for _ in range(deaths):
        worker = await stage.work(job, stuck_timeout_s=4.0)
        await asyncio.wait_for(worker.wait(), 40)

    await stage.work(job, stuck_timeout_s=4.0)

    assert [record.value for record in await stage.read("out", 2)] == [b"fine", b"fine"]
    (refused,) = await stage.read("quarantine", 1)
    assert (refused.value, dict(refused.headers)["x-quarantine-reason"]) == (value, b"too_costly")


async def test_a_worker_that_is_told_to_stop_leaves_nothing_open(stage):
    await stage.send(b"1")
    worker = await stage.work("copy")
    await stage.read("out", 1)

    worker.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(worker.wait(), 20) == 0
    assert "Unclosed" not in stage.log()


async def test_work_settled_out_of_order_survives_kills_and_is_written_once(stage):
    for partition in range(2):
        await stage.send(*(b"%d" % number for number in range(150)), partition=partition)
    for seconds in (1.0, 0.3, 0.6):
        worker = await stage.work("fetch", batch_records_max=20)
        await stage.read("out", 1)
        await asyncio.sleep(seconds)
        worker.kill()
        await worker.wait()

    await stage.work("fetch")

    records = await stage.read("out", 300)
    ids = [dict(record.headers)["ce_id"] for record in records]
    assert sorted(ids) == sorted(b"e%d/%d" % (partition, number) for partition in range(2) for number in range(150))
