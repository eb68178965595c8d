"""Counts records that were read, published and quarantined, once they are safe; the one place that does."""

from models import telemetry
from streams.engine.work.plan import Plan


def count_written(stage: str, records: int, plan: Plan, *, quarantine: str) -> None:
    """Count `records` as read, and what `plan` wrote as published or quarantined."""
    telemetry.READ(records, stage=stage)
    for topic, rows in plan.outputs.items():
        if topic != quarantine:
            telemetry.PUBLISHED(len(rows), stage=stage, type=topic)
    for refusal in plan.poison:
        record = refusal.record
        telemetry.QUARANTINED(
            stage=stage,
            reason=refusal.reason,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error=refusal.error,
        )
