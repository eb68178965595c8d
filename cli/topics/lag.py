"""How far behind consumer groups are, topic by topic: what is committed, beside the ends of the topics."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from models.security import client_options
from models.settings import KafkaSettings


class Lag(NamedTuple):
    """One group's place in one topic: the records that it has not committed yet."""

    topic: str
    group: str
    records: int


async def read(admin: AIOKafkaAdminClient, settings: KafkaSettings, names: Collection[str]) -> list[Lag]:
    """Return the lag of every group that has committed something of these topics, by topic and group."""
    groups = sorted({str(group[0]) for group in await admin.list_consumer_groups()})
    committed = {
        group: {
            partition: told.offset
            for partition, told in (await admin.list_consumer_group_offsets(group)).items()
            if partition.topic in names
        }
        for group in groups
    }
    topics = {partition.topic for offsets in committed.values() for partition in offsets}
    if not topics:
        return []
    described = await admin.describe_topics(sorted(topics))
    partitions = [TopicPartition(each["topic"], part["partition"]) for each in described for part in each["partitions"]]
    async with AIOKafkaConsumer(enable_auto_commit=False, **client_options(settings)) as consumer:
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return behind(committed, begins=begins, ends=ends)


def behind(
    committed: Mapping[str, Mapping[TopicPartition, int]],
    *,
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> list[Lag]:
    """Return the lags; where a group of a topic has committed nothing, all that is there is before it. Pure."""
    records: dict[tuple[str, str], int] = defaultdict(int)
    for group, offsets in committed.items():
        topics = {partition.topic for partition, offset in offsets.items() if offset >= 0}
        for partition, end in ends.items():
            if partition.topic in topics:
                # What retention has deleted is not before anybody any more.
                at = max(offsets.get(partition, -1), begins[partition])
                records[partition.topic, group] += max(0, end - at)
    return [Lag(topic, group, count) for (topic, group), count in sorted(records.items())]
