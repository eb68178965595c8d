"""Per-type topics, `documents`, `bundles`, `bulk-patients`, `fhir.snapshots` -> `patients` · `requests` · `bulk-jobs`.

Pure. The state is one table: `p/<patient>`, `q/<patient>/<request>` and `j/<job>` hold what is known;
`i/<patient>/<item>` and `r/<job>/<row>` remember what was counted. Each change of a patient, request or job is
published whole: a key's newest record is all there is.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from models import exact, headers, topics
from streams.engine.job import Output, Poison, Record, State
from streams.patients import bulk_job, patient, requests

SOURCES = (
    *topics.DELIVERY_TYPES,
    topics.DOCUMENTS,
    topics.BUNDLES,
    topics.BULK_PATIENTS,
    topics.FHIR_SNAPSHOTS,
)
_JOB_TOPICS = frozenset({topics.BULK_PATIENT_CREATE, topics.BULK_PATIENTS})
_ID_MAX = 200
_CE_ID_MAX = 512


class Fact(NamedTuple):
    """One record, and the state keys it is folded into."""

    topic: str
    record: dict[str, Any]
    owner: str  # patient id or request id
    state_key: bytes
    item_key: bytes | None
    request_key: bytes | None
    ce_id: str


class PatientsJob:
    """The decisions of the `patients` stage."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.outputs = (prefix + topics.PATIENTS, prefix + topics.REQUESTS, prefix + topics.BULK_JOBS)
        self.quarantine = prefix + topics.quarantine("patients")

    def decode(self, record: Record) -> Fact | None:
        """Return what the record says, None if it says nothing of a patient or a job.

        Raise `Poison` if it is not a record of this service.
        """
        topic = record.topic.removeprefix(self._prefix)
        try:
            value = exact.loads(record.value or b"")
            owner = value["requestId" if topic in _JOB_TOPICS else "patientId"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Poison("unreadable") from None
        if topic == topics.DOCUMENTS and isinstance(value, dict) and value.get("type") == topics.UNRECOGNISED:
            return None  # kept, not interpreted
        if not isinstance(value, dict) or not isinstance(owner, str) or not owner:
            raise Poison("no_patient")
        job = topic in _JOB_TOPICS
        request = requests.request_id(topic, value)
        item = bulk_job.row_id(topic, value) if job else patient.item_id(topic, value)
        return Fact(
            topic,
            value,
            owner,
            _key(b"j/" if job else b"p/", owner),
            _key(b"r/" if job else b"i/", owner, item) if item is not None else None,
            _key(b"q/", owner, request) if request is not None else None,
            _ce_id(record) or f"{topic}/{record.partition}/{record.offset}",
        )

    def keys(self, fact: Fact | None) -> tuple[bytes, ...]:
        """Return the state of the patient or job, of the counted item and of the request, if there is one."""
        if fact is None:
            return ()
        return tuple(key for key in (fact.state_key, fact.item_key, fact.request_key) if key is not None)

    def apply(self, fact: Fact | None, state: State) -> Iterator[Output]:
        """Fold one record and yield the state it leads to, unless nothing changed."""
        if fact is None:
            return
        before = state.get(fact.state_key)
        known = exact.loads(before) if before else None
        folded = bulk_job.fold(known, fact.topic, fact.record) if self._is_job(fact) else self._patient(known, fact)
        if fact.item_key is not None:
            counted = state.get(fact.item_key)
            now = self._count(folded, fact, exact.loads(counted) if counted else None)
            state.put(fact.item_key, exact.dumps(now))
        after = exact.dumps(folded, sort_keys=True)
        if after != before:
            state.put(fact.state_key, after)
            yield self._output(fact, folded)
        if fact.request_key is not None:
            yield from self._request(fact, fact.request_key, state)

    def _request(self, fact: Fact, key: bytes, state: State) -> Iterator[Output]:
        before = state.get(key)
        folded = requests.fold(exact.loads(before) if before else None, fact.topic, fact.record)
        after = exact.dumps(folded, sort_keys=True)
        if after == before:
            return
        state.put(key, after)
        shown = requests.published(folded)
        name = f"{shown['patientId']}/{shown['requestId']}".encode()
        event = _event(topics.REQUESTS, fact, shown["lastSeen"])
        yield Output(self._prefix + topics.REQUESTS, name, exact.dumps(shown), event)

    @staticmethod
    def _is_job(fact: Fact) -> bool:
        return fact.topic in _JOB_TOPICS

    @staticmethod
    def _patient(known: dict[str, Any] | None, fact: Fact) -> dict[str, Any]:
        return patient.fold(known, fact.topic, fact.record)

    def _count(self, folded: dict[str, Any], fact: Fact, known: list[Any] | None) -> list[Any]:
        if self._is_job(fact):
            return bulk_job.count(folded, fact.record, known)
        return patient.count(folded, fact.topic, fact.record, known)

    def _output(self, fact: Fact, folded: dict[str, Any]) -> Output:
        topic = topics.BULK_JOBS if self._is_job(fact) else topics.PATIENTS
        show: Callable[[dict[str, Any]], dict[str, Any]] = (
            bulk_job.published if self._is_job(fact) else patient.published
        )
        shown = show(folded)
        event = _event(topic, fact, shown.get("lastSeen") or shown.get("when"))
        return Output(self._prefix + topic, fact.owner.encode(), exact.dumps(shown), event)


def _ce_id(record: Record) -> str | None:
    """Return the id of the event, by its hash if it is longer than ours are."""
    found = headers.value(record.headers, headers.CE_ID)
    return found if found is None or len(found) <= _CE_ID_MAX else hashlib.sha256(found.encode()).hexdigest()


def _event(topic: str, fact: Fact, time: str | None) -> headers.Headers:
    return headers.cloud_event(
        ce_id=f"{topic}/{fact.ce_id}",
        source="metriport-streams/patients",
        kind=topic,
        time=time or "1970-01-01T00:00:00.000Z",
    )


def _key(kind: bytes, *parts: str) -> bytes:
    """Return a state key: short whatever the ids look like, and no two owners share one."""
    names = [name if len(name) <= _ID_MAX else hashlib.sha256(name.encode()).hexdigest() for name in parts]
    return kind + "/".join(name.replace("%", "%25").replace("/", "%2F") for name in names).encode()
