"""Declares what a stage implements: decisions about one record at a time, without any I/O of its own."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Generic, NamedTuple, Protocol, TypeVar

from models.errors import MetriportStreamsError
from models.telemetry import Event

Headers = Sequence[tuple[str, bytes | None]]  # Kafka lets a header have no value
Changes = Mapping[bytes, bytes | None]

RESERVED = b"\0"  # state keys that begin with it are the engine's

Item = TypeVar("Item")


class Record(Protocol):
    """One record as Kafka hands it out, with the bytes as they came."""

    @property
    def topic(self) -> str:
        """The full name of its topic, with the prefix."""

    @property
    def partition(self) -> int:
        """The number of its partition, the same for a patient in every topic."""

    @property
    def offset(self) -> int:
        """Its place in the partition, counted from 0."""

    @property
    def timestamp(self) -> int:
        """When it was written, in milliseconds since 1970-01-01 UTC."""

    @property
    def key(self) -> bytes | None:
        """The key, by which Kafka compacts and chooses a partition; None if it has none."""

    @property
    def value(self) -> bytes | None:
        """The value; None is a tombstone."""

    @property
    def headers(self) -> Headers:
        """Names and values in the order written; a name may occur more than once."""


def released_from(record: Record) -> str:
    """Return where in quarantine a released record stood, `topic/partition/offset`; nothing if it was not released.

    What becomes of it says so in `x-released`: the engine marks what a job returns for the record, and a job that
    writes later, through `Context.complete`, keeps this with the work that it lists.
    """
    place: bytes = getattr(record, "place", b"")  # `log/releases.py` hands such a record over; Kafka's have no place
    return place.decode("utf-8", "replace")


class Output(NamedTuple):
    """One record to write; it goes to the partition number of its source."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Step(NamedTuple):
    """Part of the work on one record: its outputs are acknowledged before its state changes are written.

    An atomic step's changes are one record batch in the changelog; others may be cut into several.
    """

    outputs: Sequence[Output] = ()
    changes: Changes = MappingProxyType({})
    atomic: bool = False


class Unavailable(MetriportStreamsError):
    """Something this stage depends on is away. The process ends and the record is read again: nothing is skipped."""


class State(Protocol):
    """The state of one partition while one record is applied."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, earlier puts of the batch included; `LookupError` if `keys` did not name it."""

    def put(self, key: bytes, value: bytes | None) -> None:
        """Set the value of a key, or remove it with None; `ValueError` if it begins with a zero byte."""

    def note(self, event: Event, **facts: str | int) -> None:
        """Emit `event` once this record's outputs and state are safe."""


class StepContext(Protocol):
    """What a stepwise job asks of the engine for one record: its partition's state, read only, and a sign of life."""

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of `keys`, in order."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys that start with `prefix`, in order, with their values."""

    def moved(self) -> None:
        """Say, from any thread, that the work makes progress though nothing is written yet: it is not stuck."""


class Context(Protocol):
    """What a job that lists work in its state asks of the engine, from `bound` on."""

    async def complete(self, partition: int, outputs: Sequence[Output], changes: Changes) -> bool:
        """Write work that was finished out of order; return False if the partition is not ours any more.

        Every output carries a `ce_id` derived from its input, by which a repeat after a crash is recognised, and the
        `x-source` of the record it came from, and `x-released` if that was released from quarantine (`released_from`).
        Raises `Poison` if something is too large for a record, `ValueError` if
        a `ce_id` is missing or the outputs are too many at once.
        """

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the state's keys that start with `prefix`, in order, with their values."""

    def attempt(self, partition: int, name: bytes) -> AbstractAsyncContextManager[None]:
        """Work within this on what the state lists under the key `name`: if it ends the process, that is counted.

        What it raises does not count: the caller says what follows. The count is gone once `complete` takes the key off
        the state.
        """

    def is_too_costly(self, partition: int, name: bytes) -> bool:
        """Return whether what the state lists under `name` has ended the process too often to be tried again."""


class Job(ABC):
    """What every stage says: its topics, and what it does when partitions come and go (nothing, unless it says so).

    A stage's class extends `BatchedJob` or `StepwiseJob`; which of the two says how its records are worked on.
    """

    outputs: tuple[str, ...]  # the topics it writes to; nobody else may write there
    quarantine: str  # the topic for records that cannot be processed
    reads_decisions: bool = False  # whether it is given what operators decided for the stage: `release.<stage>`

    def bound(self, context: Context, /) -> None:  # noqa: B027 - optional
        """Take the engine, before anything else; the event loop does not run yet."""

    async def assigned(self, partitions: frozenset[int], /) -> None:  # noqa: B027 - optional
        """Begin: the state of these partition numbers is restored, and no record of theirs was handed over yet."""

    async def revoked(self) -> None:  # noqa: B027 - optional
        """End at once: no partition is ours, and `Context.complete` refuses from now on."""

    def written(self, partition: int, changes: Changes, /) -> None:  # noqa: B027 - optional
        """Learn which state changes of a batch are safe now: what they list may be worked on."""


class BatchedJob(Job, Generic[Item]):
    """Short work on many records at once: the same record and state always give the same outputs."""

    @abstractmethod
    def decode(self, record: Record, /) -> Item:
        """Return what the record says, or raise `Poison`."""

    @abstractmethod
    def keys(self, item: Item, /) -> Iterable[bytes]:
        """Return the state keys that `apply` may read."""

    @abstractmethod
    def apply(self, item: Item, state: State, /) -> Iterable[Output]:
        """Return the outputs of one item and put its state; may raise `Poison`, which undoes both."""


class StepwiseJob(Job):
    """Long work on one record after another, in many steps."""

    @abstractmethod
    def process(self, record: Record, context: StepContext, /) -> AsyncGenerator[Step, None]:
        """Yield the steps of one record, the same ones for the same record and state; may raise `Poison`.

        `context` sees the changes of the steps already yielded. A crash between two steps calls this again with the
        changes of the earlier ones in the state: the outputs must still come out the same and in the same order.
        """

    def refused(self, record: Record, reason: str, /) -> Iterable[Output]:  # noqa: ARG002 - optional
        """Return what is written beside a record that goes to quarantine, to say so in the stage's own topics.

        The step that was not written yet is left out.
        """
        return ()
