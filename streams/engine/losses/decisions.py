"""Reads and writes what an operator decided about a loss, in a topic of the stage that only commands write to.

Value: JSON with `decision` (`accept`), `loss` (its identity), `topic`, `partition`, `from` (the offset to go on from).
"""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from models import decisions
from streams.engine.job import Record
from streams.engine.log import checkpoint
from streams.engine.losses.losses import Loss
from streams.engine.ports import LogPartition, Scan


class Acceptance(NamedTuple):
    """Go on although this was lost, from this offset."""

    loss: str
    start: int


def acceptance(record: Record) -> Acceptance | None:
    """Return what a record says, None if it is about something else."""
    said = decisions.said(record.value)
    if said is None or said["decision"] != decisions.ACCEPT:
        return None
    try:
        return Acceptance(str(said["loss"]), int(said["from"]))
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def accepting(loss: Loss, start: int) -> bytes:
    """Return the value of a record that says: go on although this was lost, from this offset."""
    place = {"topic": loss.topic, "partition": loss.partition, "from": start}
    return json.dumps({"decision": decisions.ACCEPT, "loss": loss.identity} | place).encode()


def changes(
    loss: Loss, start: int, state: Scan, ends: Mapping[LogPartition, int], outputs: Iterable[str]
) -> dict[bytes, bytes | None]:
    """Return what an acceptance changes in the state: nothing of the stage's own, only how far it has come."""
    if loss.kind == "output":
        return checkpoint.unwritten(loss.topic)
    going_on = checkpoint.going_on(state, loss.partition, loss.topic, start)
    if loss.kind == "state":
        return going_on | checkpoint.voided(loss.topic, loss.group)
    # These offsets hold other records now: what was written for the lost ones is not theirs.
    floors = {topic: ends[topic, loss.partition] for topic in outputs}
    group = max(loss.position, loss.group)
    return (
        going_on | checkpoint.floored(state, loss.partition, loss.topic, floors) | checkpoint.voided(loss.topic, group)
    )
