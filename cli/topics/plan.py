"""What every topic should be, what is missing and what differs. Decisions only: nothing here touches Kafka."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from models.settings import KafkaSettings
from models.topics import WEBHOOKS, Topic, catalogue

# With three copies, a record counts as kept when two have it: one broker may be away, none may be alone.
REPLICATION_FOR_TWO_IN_SYNC = 3

# For these, more than wanted is fine: a longer life or a larger record breaks no reader's trust.
AT_LEAST = ("delete.retention.ms", "max.message.bytes", "min.insync.replicas", "retention.ms")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One topic as it should be."""

    name: str
    topic: Topic
    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Found:
    """One topic as it is."""

    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One fact about one topic that is not as it should be."""

    topic: str
    what: str
    found: str
    wanted: str


def wanted(settings: KafkaSettings) -> tuple[Wanted, ...]:
    """Return every topic of the catalogue with this installation's names and numbers."""
    in_sync = {"min.insync.replicas": "2"} if settings.topic_replication >= REPLICATION_FOR_TWO_IN_SYNC else {}
    return tuple(
        Wanted(
            name=f"{settings.topic_prefix}{topic.name}",
            topic=topic,
            partitions=settings.topic_partitions,
            replication=settings.topic_replication,
            config=topic.config(record_bytes_max=settings.record_bytes_max) | in_sync | _flushed(topic, settings),
        )
        for topic in catalogue(settings.fhir_state_types)
    )


def _flushed(topic: Topic, settings: KafkaSettings) -> dict[str, str]:
    """Return what makes a record of `webhooks` survive a power cut where no other broker has it.

    With several copies Kafka leaves that to the operating system; with one, what was answered 200 would be gone.
    """
    return {"flush.messages": "1"} if topic.name == WEBHOOKS and settings.topic_replication == 1 else {}


def missing(topics: Iterable[Wanted], found: Mapping[str, Found]) -> list[Wanted]:
    """Return the topics that are not there."""
    return [topic for topic in topics if topic.name not in found]


def differences(topics: Iterable[Wanted], found: Mapping[str, Found]) -> list[Difference]:
    """Return what is not as it should be about the topics that are there."""
    return [
        Difference(topic=topic.name, what=what, found=is_now, wanted=should_be)
        for topic in topics
        if topic.name in found
        for what, is_now, should_be in _facts(topic, found[topic.name])
        if not _acceptable(what, is_now, should_be)
    ]


def _facts(topic: Wanted, found: Found) -> Iterable[tuple[str, str, str]]:
    # A patient has one partition number in every topic, so here more is as wrong as less.
    yield "partitions", str(found.partitions), str(topic.partitions)
    for name, should_be in topic.config.items():
        yield name, found.config.get(name, ""), should_be


def _acceptable(what: str, is_now: str, should_be: str) -> bool:
    if what not in AT_LEAST:
        return is_now == should_be
    return _number(is_now) >= _number(should_be)


def _number(value: str) -> float:
    """Return a limit as a number; in Kafka's words, -1 is none."""
    if not value:
        return 0
    return float("inf") if value == "-1" else int(value)
