"""Removals that are held: what waits for a person, and the decisions that a person makes about it.

A decision is a record of `release.bundles`, which the bundles stage reads. Nothing here writes into a stage's outputs.
"""

import uuid
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cli import audit
from cli.connection import decisions
from cli.records import records
from models import headers, topics
from models.records import Held, RemovalDecision
from models.settings import KafkaSettings

TOLD_MAX = 1000

Action = Literal["apply", "discard"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one snapshot would have removed of one patient's resources, of one type."""

    patient_id: str
    snapshot_id: str
    resource_type: str
    resources: int
    partition: int


@dataclass(frozen=True, slots=True)
class Filter:
    """What is meant; None is everything."""

    patient_id: str | None = None
    resource_type: str | None = None
    snapshot_id: str | None = None

    def takes(self, one: Waiting) -> bool:
        """Whether this is meant."""
        return (
            self.patient_id in {None, one.patient_id}
            and self.resource_type in {None, one.resource_type}
            and self.snapshot_id in {None, one.snapshot_id}
        )


async def waiting(settings: KafkaSettings, wanted: Filter) -> list[Waiting]:
    """Return what waits and is meant, by patient; raise `Unreachable`, or `Misconfigured` if there is no such topic."""
    owner = wanted.patient_id.encode() if wanted.patient_id is not None else None
    newest: dict[bytes, tuple[bytes | None, int]] = {}
    topic = settings.topic_prefix + topics.FHIR_HELD
    async with aclosing(records(settings, [topic], partition_of=owner)) as found:
        async for record in found:
            newest[record.key or b""] = (record.value, record.partition)
    return [
        one
        for _, (value, partition) in sorted(newest.items())
        if value is not None
        for one in _each(Held.model_validate_json(value), partition)
        if wanted.takes(one)
    ]


def _each(held: Held, partition: int) -> Iterable[Waiting]:
    for hold in held.holds:
        for name, count in sorted(hold.by_type.items()):
            yield Waiting(held.patient_id, hold.snapshot_id, name, count, partition)


async def decide(settings: KafkaSettings, action: Action, chosen: Sequence[Waiting]) -> None:
    """Tell of the decisions in `audit`, then write each; return when Kafka has acknowledged all."""
    decided_at = headers.timestamp(datetime.now(UTC))
    decided = [
        RemovalDecision(
            decision_id=str(uuid.uuid4()),
            patient_id=one.patient_id,
            snapshot_id=one.snapshot_id,
            action=action,
            resource_type=one.resource_type,
            decided_at=decided_at,
        )
        for one in chosen
    ]
    count, patients = sum(one.resources for one in chosen), len({one.patient_id for one in chosen})
    await audit.tell(
        settings,
        f"fhir removals {action}",
        f"{count} resources of {patients} patients",
        stage="bundles",
        decisions=[decision.decision_id for decision in decided[:TOLD_MAX]],
    )
    async with decisions(settings) as producer:
        for one, decision in zip(chosen, decided, strict=True):
            about = headers.cloud_event(
                ce_id=decision.decision_id,
                source="metriport-streams/operator",
                kind=f"{topics.release('bundles')}.{action}",
                time=decided_at,
            )
            # Where the patient's other records are: the stage keeps all of a patient in one partition number.
            await producer.send_and_wait(
                settings.topic_prefix + topics.release("bundles"),
                decision.model_dump_json(by_alias=True).encode(),
                key=one.patient_id.encode(),
                partition=one.partition,
                headers=about,
            )
