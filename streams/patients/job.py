"""Fold the records that speak of a patient, a request or a bulk create into its state, and publish each change. Pure.

The state is one table: `p/<patient>`, `q/<patient>/<request>` and `j/<request of a bulk create>` hold what is known;
`i/<patient>/<item>` and `r/<request>/<row>` remember what was counted. What the values look like stands in `patient`,
`requests` and `bulk_create`. Each change is published whole: a key's newest record is all there is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from models import exact, headers, keys, messages, moments, topics
from models.errors import Poison
from streams.engine.job import BatchedJob, Output, Record, State
from streams.patients import bulk_create, patient, requests

SOURCES = (
    *topics.DELIVERY_TYPES,
    topics.DOCUMENTS,
    topics.BUNDLES,
    topics.BULK_PATIENTS,
    topics.FHIR_SNAPSHOTS,
)
_ID_CHARS_MAX = 200
_CE_ID_CHARS_MAX = 512

_Known = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Subject:
    """Whom a record is about, and how its state is kept, folded and shown."""

    owner: str  # the field that names it
    state_prefix: bytes
    item_prefix: bytes
    topic: str
    item_id: Callable[[str, _Known], str | None]
    fold: Callable[[_Known | None, str, _Known], _Known]
    count: Callable[[_Known, str, _Known, list[Any] | None], list[Any]]
    published: Callable[[_Known], _Known]


_PATIENT = _Subject(
    "patientId", b"p/", b"i/", topics.PATIENTS, patient.item_id, patient.fold, patient.count, patient.published
)
_BULK_CREATE = _Subject(
    "requestId",
    b"j/",
    b"r/",
    topics.BULK_JOBS,
    bulk_create.item_id,
    bulk_create.fold,
    bulk_create.count,
    bulk_create.published,
)
_OF_BULK_CREATES = frozenset(
    {name for name, kind in messages.TYPES.items() if kind.scope == "bulk"} | {topics.BULK_PATIENTS}
)


class Fact(NamedTuple):
    """One record, and the state keys it is folded into."""

    topic: str
    record: dict[str, Any]
    subject: _Subject
    owner: str  # patient id, or request id of a bulk create
    state_key: bytes
    item_key: bytes | None
    request_key: bytes | None
    ce_id: str


class PatientsJob(BatchedJob[Fact | None]):
    """The decisions of the `patients` stage."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.outputs = (prefix + topics.PATIENTS, prefix + topics.REQUESTS, prefix + topics.BULK_JOBS)
        self.quarantine = prefix + topics.quarantine("patients")

    def decode(self, record: Record) -> Fact | None:
        """Return what the record says, None if it says nothing of a patient or a bulk create.

        Raise `Poison` if it is not a record of this service.
        """
        topic = record.topic.removeprefix(self._prefix)
        subject = _BULK_CREATE if topic in _OF_BULK_CREATES else _PATIENT
        try:
            value = exact.loads(record.value or b"")
            owner = value[subject.owner]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Poison("unreadable") from None
        if topic == topics.DOCUMENTS and isinstance(value, dict) and value.get("type") == topics.UNRECOGNISED:
            return None  # kept, not interpreted
        if not isinstance(value, dict) or not isinstance(owner, str) or not owner:
            raise Poison("no_patient")
        item = subject.item_id(topic, value)
        request = requests.request_id(topic, value)
        return Fact(
            topic,
            value,
            subject,
            owner,
            _key(subject.state_prefix, owner),
            _key(subject.item_prefix, owner, item) if item is not None else None,
            _key(b"q/", owner, request) if request is not None else None,
            _ce_id(record) or f"{topic}/{record.partition}/{record.offset}",
        )

    def keys(self, fact: Fact | None) -> tuple[bytes, ...]:
        """Return the keys of the state, of the counted item and of the request, if there is one."""
        if fact is None:
            return ()
        return tuple(key for key in (fact.state_key, fact.item_key, fact.request_key) if key is not None)

    def apply(self, fact: Fact | None, state: State) -> Iterator[Output]:
        """Fold one record and yield the state it leads to, unless nothing changed."""
        if fact is None:
            return
        subject = fact.subject
        folded = subject.fold(_known(state, fact.state_key), fact.topic, fact.record)
        if fact.item_key is not None:
            now = subject.count(folded, fact.topic, fact.record, _known(state, fact.item_key))
            state.put(fact.item_key, exact.dumps(now))
        if _keep(state, fact.state_key, folded):
            shown = subject.published(folded)
            yield self._output(fact, subject.topic, fact.owner, shown, shown.get("lastSeen") or shown.get("when"))
        if fact.request_key is not None:
            folded = requests.fold(_known(state, fact.request_key), fact.topic, fact.record)
            if _keep(state, fact.request_key, folded):
                shown = requests.published(folded)
                key = f"{shown['patientId']}/{shown['requestId']}"
                yield self._output(fact, topics.REQUESTS, key, shown, shown["lastSeen"])

    def _output(self, fact: Fact, topic: str, key: str, shown: dict[str, Any], time: str | None) -> Output:
        event = headers.cloud_event(
            ce_id=f"{topic}/{fact.ce_id}",
            source="metriport-streams/patients",
            kind=topic,
            time=moments.first(time),
        )
        return Output(self._prefix + topic, key.encode(), exact.dumps(shown), event)


def _known(state: State, key: bytes) -> Any:  # noqa: ANN401 - JSON
    value = state.get(key)
    return exact.loads(value) if value else None


def _keep(state: State, key: bytes, folded: dict[str, Any]) -> bool:
    """Put what is known now; return whether it is something new."""
    after = exact.dumps(folded, sort_keys=True)
    if after == state.get(key):
        return False
    state.put(key, after)
    return True


def _ce_id(record: Record) -> str | None:
    """Return the id of the event, by its hash if it is longer than ours are."""
    found = headers.text(record.headers, headers.CE_ID)
    return None if found is None else keys.short_text(found, chars_max=_CE_ID_CHARS_MAX)


def _key(prefix: bytes, *parts: str) -> bytes:
    """Return a state key: short whatever the ids look like, and no two owners share one."""
    names = [keys.short_text(name, chars_max=_ID_CHARS_MAX) for name in parts]
    return prefix + "/".join(name.replace("%", "%25").replace("/", "%2F") for name in names).encode()
