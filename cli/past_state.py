"""A patient's state as of a time: what was recorded up to then, folded anew by the stages' own decisions.

The topic `patients` is compacted: its past is gone. What came from outside is kept for ever, and the state is a pure
fold of that, so it can be made again: `webhooks` becomes deliveries, and those, with `documents`, `bundles` and
`fhir.snapshots`, the state. Nothing is written.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiokafka.structs import ConsumerRecord

from models import exact, topics
from models.errors import Poison
from models.telemetry import Event
from streams.deliveries.job import DeliveriesJob
from streams.engine.job import BatchedJob, Headers, Output, Record
from streams.patients.job import PatientsJob

SOURCES = (topics.WEBHOOKS, topics.DOCUMENTS, topics.BUNDLES, topics.FHIR_SNAPSHOTS)


@dataclass
class PastState:
    """What is known of one patient after the records it was given."""

    prefix: str
    patient_id: str
    records: int = 0
    unreadable: int = 0
    patient: dict[str, Any] | None = None
    requests: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._deliveries, self._patients = DeliveriesJob(self.prefix), PatientsJob(self.prefix)
        self._seen, self._known = _Table(), _Table()

    def take(self, record: ConsumerRecord) -> None:
        """Fold one record of `SOURCES`; those that are about somebody else change nothing."""
        if record.key != self.patient_id.encode():
            return
        self.records += 1
        if record.topic == self.prefix + topics.WEBHOOKS:
            made: Iterable[Record] = (
                _Made(record, output) for output in self._folded(self._deliveries, record, self._seen)
            )
        else:
            made = (record,)
        for each in made:
            for output in self._folded(self._patients, each, self._known):
                self._show(output)

    def _folded(self, job: BatchedJob[Any], record: Record, table: "_Table") -> Iterable[Output]:
        try:
            item = job.decode(record)
        except Poison:  # in quarantine, where it is nobody's state
            self.unreadable += 1
            return ()
        return list(job.apply(item, table))

    def _show(self, output: Output) -> None:
        value = exact.loads(output.value or b"null")
        if output.topic == self.prefix + topics.PATIENTS and value["patientId"] == self.patient_id:
            self.patient = value
        elif output.topic == self.prefix + topics.REQUESTS and value["patientId"] == self.patient_id:
            self.requests[value["requestId"]] = value


class _Table:
    """A stage's table, in memory."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        self._values[key] = value

    def note(self, event: Event, **facts: str | int) -> None:
        """Count nothing: this happened long ago."""


@dataclass(frozen=True)
class _Made:
    """The record that a delivery became, at the place of the one it was made from."""

    source: ConsumerRecord
    output: Output

    @property
    def topic(self) -> str:
        return self.output.topic

    @property
    def partition(self) -> int:
        return int(self.source.partition)

    @property
    def offset(self) -> int:
        return int(self.source.offset)

    @property
    def timestamp(self) -> int:
        return int(self.source.timestamp)

    @property
    def key(self) -> bytes | None:
        return self.output.key

    @property
    def value(self) -> bytes | None:
        return self.output.value

    @property
    def headers(self) -> Headers:
        return self.output.headers
