"""Decides what a batch of records becomes: outputs and state changes. No I/O, always the same for the same input."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from models import reasons
from models.errors import Poison
from models.reasons import Reason
from models.telemetry import Event
from streams.engine.fatal import where
from streams.engine.job import RESERVED, BatchedJob, Changes, Job, Output, Record, Unavailable
from streams.engine.log import quarantine
from streams.engine.log.record_size import RECORD_OVERHEAD_BYTES, STAMP_BYTES, output_bytes
from streams.engine.log.releases import handed, marked
from streams.engine.log.source_header import Sequencer

OUTSIDE_CAUSES = (Unavailable, OSError, TimeoutError, MemoryError)  # not the record's fault: never quarantined

ReadMany = Callable[[Sequence[bytes]], Sequence[bytes | None]]


@dataclass
class Plan:
    """What to write for some records of one source partition."""

    outputs: dict[str, list[Output]] = field(default_factory=dict)
    changes: dict[bytes, bytes | None] = field(default_factory=dict)
    notes: list[Callable[[], None]] = field(default_factory=list)
    poison: list["Refusal"] = field(default_factory=list)

    def add(self, outputs: Sequence[Output], offset: int, sequencer: Sequencer) -> None:
        """Append outputs that are not written yet."""
        for output in outputs:
            headers = sequencer.stamp(output.topic, offset, output.headers)
            if headers is not None:
                stamped = Output(output.topic, output.key, output.value, headers)
                self.outputs.setdefault(output.topic, []).append(stamped)


@dataclass(frozen=True)
class Refusal:
    """Why one record went to quarantine; `error` names an exception that was not foreseen, without its message."""

    record: Record
    reason: Reason
    error: str = ""


class View:
    """The state as one record sees it: what was read for the batch, earlier records' changes, and its own."""

    def __init__(self, known: Mapping[bytes, bytes | None]) -> None:
        self._known = known
        self.changes: dict[bytes, bytes | None] = {}
        self.notes: list[Callable[[], None]] = []

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key; `LookupError` if `keys` did not name it."""
        if key in self.changes:
            return self.changes[key]
        try:
            return self._known[key]
        except KeyError:
            raise LookupError("apply read a key that keys() did not name") from None

    def put(self, key: bytes, value: bytes | None) -> None:
        """Set the value of a key, or remove it with None; `ValueError` if it begins with a zero byte."""
        if key.startswith(RESERVED):
            raise ValueError("keys that begin with a zero byte are the engine's")
        self.changes[key] = value

    def note(self, event: Event, **facts: str | int) -> None:
        """Emit `event` once this record's outputs and state are safe."""
        self.notes.append(partial(event, 1, **facts))


def plan_batch(
    job: BatchedJob[Any],
    records: Sequence[Record],
    *,
    read: ReadMany,
    sequencer: Sequencer,
    record_bytes_max: int,
    decisions: str = "",
    refuse: Reason | None = None,
) -> Plan:
    """Return what `records` become, in input order, quarantined ones too: places grow in every topic.

    With a reason to `refuse` them, none is looked at. Of the records in the topic `decisions` only those count that
    were released from quarantine, or all if the job reads decisions.
    """
    items = [_decoded(job, record, decisions, refuse) for record in records]
    keys = list(dict.fromkeys(key for item in items for key in item.keys))
    known: dict[bytes, bytes | None] = dict(zip(keys, read(keys), strict=True)) if keys else {}
    plan = Plan()
    for record, item in zip(records, items, strict=True):
        view = View(known)
        outputs: Sequence[Output] = ()
        refusal = item.refusal
        if refusal is None and item.source is not None:
            outputs, refusal = _applied(job, item.source, item.said, view, record_bytes_max)
        if refusal is not None:
            view = View(known)
            refused = quarantine.quarantined(refusal.record, refusal.reason, topic=job.quarantine)
            outputs = [quarantine.fitting(refused, record_bytes_max)]
            plan.poison.append(refusal)
        known |= view.changes
        plan.changes |= view.changes
        plan.notes += view.notes
        plan.add(outputs, record.offset, sequencer)
    return plan


def refusal_of(record: Record, error: Exception, otherwise: Reason) -> Refusal:
    """Return why `record` is refused, or raise what is not its fault."""
    if isinstance(error, Poison):
        return Refusal(record, error.reason)
    if isinstance(error, OUTSIDE_CAUSES):
        raise error
    return Refusal(record, otherwise, where(error))


def check(job: Job, outputs: Sequence[Output], changes: Changes, bytes_max: int) -> None:
    """Raise if these cannot be written: `LookupError` for a topic not the stage's, `Poison` if too large for Kafka."""
    for output in outputs:
        if output.topic not in job.outputs and output.topic != job.quarantine:
            raise LookupError("an output goes to a topic the job did not declare")
        most = quarantine.bytes_max(bytes_max) if output.topic == job.quarantine else bytes_max
        if output_bytes(output) + STAMP_BYTES > most:
            raise Poison(reasons.TOO_LARGE)
    # One record's changes are one record batch, so together they must fit.
    if (
        sum(len(key) + len(value or b"") + RECORD_OVERHEAD_BYTES for key, value in changes.items()) + STAMP_BYTES
        > bytes_max
    ):
        raise Poison(reasons.TOO_LARGE)


class _Decoded(NamedTuple):
    """What one record says to the job; nothing if it has no `source`, or is refused."""

    source: Record | None  # what the job was given: the record, or what was released with it
    said: Any = None
    keys: Sequence[bytes] = ()
    refusal: Refusal | None = None


def _decoded(job: BatchedJob[Any], record: Record, decisions: str, refuse: Reason | None) -> _Decoded:
    source: Record | None = record
    try:
        source = handed(record, decisions, reads_decisions=job.reads_decisions)
        if source is None:
            return _Decoded(None)
        if refuse is not None:
            return _Decoded(source, refusal=Refusal(source, refuse))
        said = job.decode(source)
        return _Decoded(source, said, list(job.keys(said)))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one record must not stop its neighbours
        return _Decoded(source, refusal=refusal_of(source or record, error, reasons.UNREADABLE))


def _applied(
    job: BatchedJob[Any],
    record: Record,
    item: Any,  # noqa: ANN401 - the job's own type
    view: View,
    bytes_max: int,
) -> tuple[Sequence[Output], Refusal | None]:
    try:
        outputs = marked(job.apply(item, view), record)
        check(job, outputs, view.changes, bytes_max)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one record must not stop its neighbours
        return (), refusal_of(record, error, reasons.UNPROCESSABLE)
    return outputs, None
