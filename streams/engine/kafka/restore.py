"""Brings local copies of the state up to the end of their changelog, thousands of records at a time."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from streams.engine import events
from streams.engine.fatal import Fatal
from streams.engine.fingerprints import digest
from streams.engine.kafka.reader import first_from, log_reader, read
from streams.engine.log.copies import Changelog, flaw
from streams.engine.ports import Copy, LocalCopy
from streams.engine.settings import EngineSettings

_KEPT = "delete.retention.ms"
_KEPT_BY_DEFAULT_MS = 24 * 60 * 60 * 1000  # Kafka's own, for a broker that does not let us ask


@dataclass
class Restoration:
    """How much of the state was read back since the process began, and when that last moved."""

    records: int = 0
    seconds: float = 0.0
    moved_at: float = 0.0


async def restore(store: LocalCopy, partitions: Iterable[int], settings: EngineSettings, progress: Restoration) -> None:
    """Bring these partitions up to date. What was done stays done when this is cancelled."""
    begun_at = time.monotonic()
    tps = [TopicPartition(settings.changelog, partition) for partition in sorted(partitions)]
    if not tps:
        return
    async with log_reader(settings) as consumer:
        consumer.assign(tps)
        first, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        copies = {tp: copy for tp in tps if (copy := store.copy(tp.partition))}
        for tp, why in (await _flaws(consumer, copies, ends, settings)).items():
            events.STATE_REBUILT(stage=settings.stage, reason=why, partition=tp.partition)
            store.wipe(tp.partition)
            del copies[tp]
        ranges = {tp: (max(first[tp], copies[tp].reached + 1) if tp in copies else first[tp], ends[tp]) for tp in tps}
        async for tp, records in read(consumer, ranges):
            if records:
                rows = ((record.key, record.value) for record in records)
                store.put_many(tp.partition, rows, records[-1].offset)
            elif store.reaches(tp.partition) != ends[tp] - 1:
                store.put_many(tp.partition, (), ends[tp] - 1)
            progress.records += len(records)
            progress.moved_at = time.monotonic()
        for tp in tps:
            store.touch(tp.partition)
    progress.seconds += time.monotonic() - begun_at


async def _flaws(
    consumer: AIOKafkaConsumer,
    copies: Mapping[TopicPartition, Copy],
    ends: Mapping[TopicPartition, int],
    settings: EngineSettings,
) -> dict[TopicPartition, str]:
    """Return the copies that must not be used, and why; raise `Fatal` if one holds more than its changelog."""
    for tp, copy in copies.items():
        if copy.reached >= ends[tp]:
            raise Fatal(
                f"{tp.topic}/{tp.partition}: the local state contains offset {copy.reached}, the changelog ends at "
                f"{ends[tp]}: it was deleted, or lost records. Operator action: if the changelog is right, delete this "
                "stage's state folder and start again; if not, restore the topic first."
            )
    behind = {tp: ends[tp] - 1 for tp, copy in copies.items() if copy.reached + 1 < ends[tp]}
    # Asked only where it counts: the broker may not let us.
    age_max_ms = await _tombstones_kept_ms(settings) // 2 if behind else 0
    newest = await first_from(consumer, behind, ends)
    found = await first_from(consumer, {tp: copy.reached for tp, copy in copies.items()}, ends)
    digests = {tp: digest(last.key, last.value) for tp, last in found.items() if last.offset == copies[tp].reached}
    now_ms = time.time_ns() // 1_000_000
    flaws = {
        tp: flaw(
            copy,
            Changelog(digests.get(tp), ends[tp], newest[tp].timestamp if tp in newest else 0),
            now_ms=now_ms,
            age_max_ms=age_max_ms,
        )
        for tp, copy in copies.items()
    }
    return {tp: why for tp, why in flaws.items() if why}


async def _tombstones_kept_ms(settings: EngineSettings) -> int:
    """Return for how many milliseconds the changelog surely keeps a tombstone."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers, **settings.security)
    try:
        await admin.start()
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, settings.changelog)])
    except KafkaError:
        return _KEPT_BY_DEFAULT_MS
    finally:
        await admin.close()
    configs = {entry[0]: entry[1] for answer in answers for resource in answer.resources for entry in resource[4]}
    return int(configs.get(_KEPT) or _KEPT_BY_DEFAULT_MS)
