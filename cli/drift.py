"""What differs from what is known of Metriport's messages, added up over partitions, and what operators accept."""

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from cli import audit
from cli.records import records
from models import acceptance, known, topics
from models.acceptance import Accepted, Difference
from models.settings import KafkaSettings
from models.states import Drift, DriftKind


@dataclass
class Row:
    """One difference in all partitions; the times are those of the place, whatever the kind."""

    type: str
    path: str
    kind: DriftKind
    count: int
    partitions: int
    first_seen: str | None
    last_seen: str | None
    message_id: str | None
    accepted: bool


async def rows(settings: KafkaSettings) -> list[Row]:
    """Return what differs, what is seen most first; raise `Unreachable`, or `Misconfigured` without such a topic."""
    drift, audited = (settings.topic_prefix + name for name in (topics.DRIFT, topics.AUDIT))
    newest, accepted = dict[bytes, Drift](), set[Accepted]()
    async with aclosing(records(settings, [drift, audited])) as found:
        async for record in found:
            if record.topic == audited:
                accepted |= acceptance.accepted(record.value)
            elif record.value is not None:
                newest[record.key or b""] = Drift.model_validate_json(record.value)
    return added_up(newest.values(), accepted)


def added_up(found: Iterable[Drift], accepted: set[Accepted]) -> list[Row]:
    """Return one row per difference; what this release knows is none any more. Pure."""
    added = dict[Difference, Row]()
    for one in found:
        for kind, count in one.counts.items():
            name = Difference(one.type, one.path, kind)
            row = added.setdefault(
                name, Row(*name, 0, 0, one.first_seen, one.last_seen, one.message_id, tuple(name) in accepted)
            )
            row.count += count
            row.partitions += 1
            if (one.first_seen or "") < (row.first_seen or ""):
                row.first_seen, row.message_id = one.first_seen, one.message_id
            row.last_seen = max(row.last_seen or "", one.last_seen or "") or None
    left = [row for row in added.values() if not known.knows_now(row.type, row.path, row.kind)]
    return sorted(left, key=lambda row: (-row.count, row.type, row.path, row.kind))


async def accept(settings: KafkaSettings, chosen: Sequence[Row]) -> None:
    """Tell of it in `audit`, where whoever tells differences finds it; return when Kafka has acknowledged it."""
    accepted = [Difference(row.type, row.path, row.kind) for row in chosen]
    says = f"{len(accepted)} differences from what is known are accepted"
    await audit.tell(settings, acceptance.COMMAND, says, stage="deliveries", **acceptance.told(accepted))
