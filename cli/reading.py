"""Reads ranges of partitions, in order per partition, and no further; without a group."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from cli.broker.errors import Unreachable
from cli.connection import REQUEST_TIMEOUT_MS, administration
from cli.topics import advice
from models.errors import Misconfigured
from models.security import client_options
from models.settings import KafkaSettings, StateTypesSettings, load
from models.topics import catalogue
from streams.engine.kafka import header_names

Range = tuple[int, int]

WAIT_MS = 500
PARTITION_BYTES_MAX = 2**20  # of one fetch; a larger record comes all the same
RECORDS_MAX = 5000  # of one look at all partitions
SILENCE_MAX = 240  # looks of `WAIT_MS` in which nothing came, though it should


async def cluster(settings: KafkaSettings) -> str:
    """Return the id of the Kafka cluster."""
    async with administration(settings) as admin:
        found: str = (await admin.describe_cluster())["cluster_id"]
        return found


async def partitions(settings: KafkaSettings, topics: Sequence[str]) -> list[TopicPartition]:
    """Return the partitions of these topics; raise `Misconfigured`, with what was meant, if one is missing."""
    async with administration(settings) as admin:
        described = await admin.describe_topics(list(topics))
        if missing := sorted(topic["topic"] for topic in described if topic["error_code"]):
            known = [each.name for each in catalogue(load(StateTypesSettings).fhir_state_types)]
            there = await admin.list_topics()
            raise Misconfigured(advice.no_topic(missing[0], prefix=settings.topic_prefix, catalogue=known, there=there))
    return _partitions(described)


async def existing(settings: KafkaSettings, topics: Sequence[str]) -> list[TopicPartition]:
    """Return the partitions of those of these topics that are there."""
    if not topics:
        return []
    async with administration(settings) as admin:
        return _partitions(await admin.describe_topics(list(topics)))


def _partitions(described: Iterable[Mapping[str, Any]]) -> list[TopicPartition]:
    return sorted(
        TopicPartition(topic["topic"], part["partition"])
        for topic in described
        if not topic["error_code"]
        for part in topic["partitions"]
    )


@asynccontextmanager
async def consumer(settings: KafkaSettings, *, reset: str = "none") -> AsyncGenerator[AIOKafkaConsumer, None]:
    """Have a consumer that belongs to no group for a while; raise `Unreachable` if Kafka goes away.

    With `reset`, `earliest`, it goes on with what is there where something was deleted unread.
    """
    header_names.accept()  # one record of another client's making must not end the command
    client = AIOKafkaConsumer(
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset=reset,
        max_partition_fetch_bytes=PARTITION_BYTES_MAX,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        **client_options(settings),
    )
    try:
        await client.start()
        yield client
    except (KafkaError, TimeoutError, OSError) as problem:
        raise Unreachable(
            f"Kafka at {settings.kafka_bootstrap_servers} could not be read: {type(problem).__name__}."
        ) from None
    finally:
        await client.stop()


async def spans(
    settings: KafkaSettings, places: Sequence[TopicPartition], *, begin: datetime | None = None
) -> dict[TopicPartition, Range]:
    """Return the offsets that these partitions hold now; with `begin`, from the first that Kafka took since then."""
    if not places:
        return {}
    async with consumer(settings) as client:
        client.assign(places)
        firsts, ends = await client.beginning_offsets(places), await client.end_offsets(places)
        if begin is not None:
            at = await client.offsets_for_times(dict.fromkeys(places, round(begin.timestamp() * 1000)))
            firsts = {place: at[place].offset if at.get(place) else ends[place] for place in places}
    return {place: (firsts[place], max(firsts[place], ends[place])) for place in places}


async def read(
    settings: KafkaSettings, ranges: Mapping[TopicPartition, Range]
) -> AsyncGenerator[tuple[TopicPartition, list[Any], int], None]:
    """Yield records of these ranges, few at a time, with the offset that their partition is read up to.

    Offsets without a record (compacted, or the marks of transactions) are gone past in silence. Raise `Unreachable` if
    a partition says nothing for two minutes.
    """
    left = {place: end for place, (begin, end) in ranges.items() if begin < end}
    if not left:
        return
    async with consumer(settings) as client:
        client.assign(list(left))
        for place in left:
            client.seek(place, ranges[place][0])
        silent = 0
        while left:
            came = await client.getmany(timeout_ms=WAIT_MS, max_records=RECORDS_MAX)
            silent = 0 if came else silent + 1
            if silent > SILENCE_MAX:
                raise Unreachable(f"Kafka sends nothing of {min(left).topic} partition {min(left).partition}.")
            for place in list(left):
                end = left[place]
                position = min(end, await client.position(place))
                records = [record for record in came.get(place, ()) if record.offset < end]
                if records or position == end:
                    yield place, records, position
                if position == end:
                    del left[place]
                    client.pause(place)


async def forgotten(settings: KafkaSettings, begins: Mapping[TopicPartition, int]) -> Iterable[TopicPartition]:
    """Return the partitions that no longer hold what stood at these offsets."""
    if not begins:
        return ()
    async with consumer(settings) as client:
        client.assign(list(begins))
        firsts = await client.beginning_offsets(list(begins))
    return sorted(place for place, begin in begins.items() if firsts[place] > begin)
