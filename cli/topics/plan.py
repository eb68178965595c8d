"""What every topic should be, what is missing and what differs. Decisions only: nothing here touches Kafka."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from models.settings import CatalogueSettings
from models.topics import WEBHOOKS, Topic, catalogue

# A record counts as kept when two copies have it, where there are two: no broker is alone with what was acknowledged.
IN_SYNC_MOST = 2

# For these, more than wanted is fine: a longer life or a larger record breaks no reader's trust.
AT_LEAST = ("delete.retention.ms", "max.message.bytes", "replication", "retention.bytes", "retention.ms")
AT_MOST = ("segment.ms",)


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
    overrides: Mapping[str, str] = field(default_factory=dict)  # what of `config` was set for this topic


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One fact about one topic that is not as it should be. `mendable`: setting it takes nothing away."""

    topic: str
    what: str
    found: str
    wanted: str
    mendable: bool = False

    @property
    def harmless(self) -> bool:
        """Whether the service works with it as it should: partitions beyond ours are not used."""
        return self.what == "partitions" and int(self.found) > int(self.wanted)


def wanted(settings: CatalogueSettings) -> tuple[Wanted, ...]:
    """Return every topic of the catalogue with this installation's names and numbers."""
    in_sync = {"min.insync.replicas": str(min(IN_SYNC_MOST, settings.topic_replication))}
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


def _flushed(topic: Topic, settings: CatalogueSettings) -> dict[str, str]:
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
        Difference(
            topic=topic.name,
            what=what,
            found=is_now,
            wanted=should_be,
            mendable=_mendable(what, is_now, should_be, topic, found[topic.name]),
        )
        for topic in topics
        if topic.name in found
        for what, is_now, should_be in _facts(topic, found[topic.name])
        if not _acceptable(what, is_now, should_be, topic, found[topic.name])
    ]


def harmful(differences: Iterable[Difference]) -> list[Difference]:
    """Return those with which a promise would not hold."""
    return [each for each in differences if not each.harmless]


def by_topic(differences: Iterable[Difference]) -> dict[str, list[str]]:
    """Return what differs of each topic, in words for a table."""
    facts: dict[str, list[str]] = defaultdict(list)
    for each in differences:
        facts[each.topic].append(f"{each.what} {each.found or 'unset'}")
    return facts


def too_few(topics: Iterable[Wanted], found: Mapping[str, Found]) -> list[str]:
    """Return the topics that lack partitions: patients whose number is among those have no place there."""
    return [topic.name for topic in topics if topic.name in found and found[topic.name].partitions < topic.partitions]


def mended(found: Mapping[str, Found], differences: Iterable[Difference]) -> dict[str, dict[str, str]]:
    """Return, by topic, everything that must be set for it so that what can be mended is.

    That includes what was set before: Kafka forgets what it is not told again.
    """
    changes: dict[str, dict[str, str]] = {}
    for each in differences:
        if each.mendable:
            changes.setdefault(each.topic, dict(found[each.topic].overrides))[each.what] = each.wanted
    return changes


def _facts(topic: Wanted, found: Found) -> Iterable[tuple[str, str, str]]:
    # A patient has one partition number in every topic, so here more is as wrong as less.
    yield "partitions", str(found.partitions), str(topic.partitions)
    yield "replication", str(found.replication), str(topic.replication)
    for name, should_be in topic.config.items():
        yield name, found.config.get(name, ""), should_be


def _acceptable(what: str, is_now: str, should_be: str, topic: Wanted, found: Found) -> bool:
    if what in AT_LEAST:
        return _number(is_now) >= _number(should_be)
    if what in AT_MOST:
        return 0 < _number(is_now) <= _number(should_be)
    if what == "segment.bytes":
        return _number(is_now) >= _number(topic.config["max.message.bytes"])
    if what == "min.insync.replicas":
        # More than there are copies, and nothing can be written.
        return int(should_be) <= _number(is_now) <= max(found.replication, int(should_be))
    return is_now == should_be


def _mendable(what: str, is_now: str, should_be: str, topic: Wanted, found: Found) -> bool:
    """Tell whether setting it keeps every record that would be kept otherwise, and lets every writer write."""
    if what in {"partitions", "replication"}:
        return False  # records would have to move
    if what == "min.insync.replicas":
        return int(should_be) <= found.replication
    if what == "cleanup.policy":
        keeps_all = should_be == "delete" and topic.topic.retention_ms < 0
        return keeps_all or (should_be == "compact" and "compact" in is_now)
    return True


def _number(value: str) -> float:
    """Return a limit as a number; in Kafka's words, -1 is none."""
    if not value:
        return 0
    return float("inf") if value == "-1" else int(value)
