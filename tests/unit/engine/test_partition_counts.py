"""Every patient has one partition number in every topic, and its state is where its records are."""

import pytest

from streams.engine.fatal import Fatal
from tests.unit.engine.fakes import MemoryKafka, Process, Record
from tests.unit.engine.jobs import Fold


async def worked(kafka, state=None, **changed):
    process = Process(Fold(), kafka, state, **changed)
    await process.begin()
    process.feed([Record(len(kafka.logs["in", 0]), b"1")])
    await process.idle()
    return process


async def test_a_state_is_not_taken_up_with_another_partition_count():
    first = await worked(MemoryKafka())

    with pytest.raises(Fatal, match="TOPIC_PARTITIONS is 3, and this state was made with 1"):
        await Process(Fold(), first.kafka, partitions=3).begin()


async def test_the_same_count_again_is_fine_whatever_the_topics_have():
    first = await worked(MemoryKafka())
    first.kafka.partition_counts = {"in": 16, "a": 12}

    again = await worked(first.kafka)

    assert again.ended == []


@pytest.mark.parametrize("topic", ["in", "a", "quarantine", "test-state-changelog"])
async def test_a_topic_that_lacks_partitions_stops_the_stage_and_is_named(topic):
    kafka = MemoryKafka()
    kafka.partition_counts = {topic: 2}

    with pytest.raises(Fatal, match=f"{topic} has 2 partitions, TOPIC_PARTITIONS is 3"):
        await Process(Fold(), kafka, partitions=3).begin()


async def test_a_topic_that_is_missing_stops_the_stage_and_is_named():
    kafka = MemoryKafka()
    kafka.partition_counts = {"a": 0}

    with pytest.raises(Fatal, match="a is missing"):
        await Process(Fold(), kafka).begin()


async def test_records_beyond_our_partitions_are_counted_by_a_stage_that_has_worked_before():
    first = await worked(MemoryKafka())
    first.kafka.partition_counts = {"in": 2}
    first.kafka.logs["in", 1] += [None] * 7

    again = await worked(first.kafka)

    assert (again.engine.unread, again.ended) == (7, [])


async def test_records_beyond_our_partitions_stop_a_stage_without_a_state():
    kafka = MemoryKafka()
    kafka.partition_counts = {"in": 2}
    kafka.logs["in", 1] += [None] * 7

    with pytest.raises(Fatal, match="TOPIC_PARTITIONS is 1, and 7 records are in partitions beyond that"):
        await Process(Fold(), kafka).begin()
