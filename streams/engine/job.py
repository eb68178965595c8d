"""What a stage implements: decisions about one record at a time, without any I/O of its own."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar

from models.telemetry import Event

Headers = Sequence[tuple[str, bytes | None]]  # Kafka lets a header have no value
Changes = Mapping[bytes, bytes | None]

RESERVED = b"\0"  # state keys that begin with it are the engine's

Item = TypeVar("Item")


class Record(Protocol):
    """One record as Kafka hands it out."""

    @property
    def topic(self) -> str:
        """Its topic."""

    @property
    def partition(self) -> int:
        """Its partition number."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """When it was written, in milliseconds since 1970."""

    @property
    def key(self) -> bytes | None:
        """Its key."""

    @property
    def value(self) -> bytes | None:
        """Its value."""

    @property
    def headers(self) -> Headers:
        """Its headers."""


class Output(NamedTuple):
    """One record to write; it goes to the partition number of its source."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Step(NamedTuple):
    """Part of the work on one record: the outputs are acknowledged before the changes are written.

    An atomic step's changes are one record batch in the changelog; others may be cut into several.
    """

    outputs: Sequence[Output] = ()
    changes: Changes = MappingProxyType({})
    atomic: bool = False


class Unavailable(Exception):
    """Something this stage depends on is away. The process ends and the record is read again: nothing is skipped."""


class State(Protocol):
    """The state of one partition while one record is applied."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key that `Job.keys` named, earlier puts of the batch included."""

    def put(self, key: bytes, value: bytes | None) -> None:
        """Set the value of a key, or remove it with None."""

    def note(self, event: Event, **facts: str | int) -> None:
        """Emit `event` once this record's outputs and state are safe."""


class Reading(Protocol):
    """The state of one partition, read only."""

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of `keys`, in order."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys that start with `prefix`, in order, with their values."""

    def moved(self) -> None:
        """Say, from any thread, that the work moves though nothing is written yet: it is not stuck."""


class Topics(Protocol):
    """Where a stage writes. Nobody else may write there."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The topics its outputs go to."""

    @property
    def quarantine(self) -> str:
        """Where the records go that cannot be processed."""


class Job(Topics, Protocol[Item]):
    """Short work, many records at once: the same record and state always give the same outputs."""

    def decode(self, record: Record, /) -> Item:
        """Return what the record says, or raise `Poison`."""

    def keys(self, item: Item, /) -> Iterable[bytes]:
        """Return the state keys that `apply` may read."""

    def apply(self, item: Item, state: State, /) -> Iterable[Output]:
        """Return the outputs of one item and put its state; may raise `Poison`, which undoes both."""


class LongJob(Topics, Protocol):
    """Long work on one record after another, in many steps."""

    def process(self, record: Record, reading: Reading, /) -> AsyncGenerator[Step, None]:
        """Yield the steps of one record, the same ones for the same record and state; may raise `Poison`.

        `reading` sees the changes of the steps already yielded. A crash between two steps calls this again with the
        changes of the earlier ones in the state: the outputs must still come out the same and in the same order.
        """


class Tells(Protocol):
    """What a long job may implement beside, to say in its own topics which records were refused, and why."""

    def refused(self, record: Record, reason: str, /) -> Iterable[Output]:
        """Return what is written beside the quarantined record; the step that was not written yet is left out."""


class Hooks(Protocol):
    """What a stage may implement beside its job, to work on what its state lists."""

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Begin: the state of these partitions is restored and settled."""

    async def revoked(self) -> None:
        """End at once: no partition is ours, `settle` refuses from now on."""


def hook(job: object, name: str) -> Any:  # noqa: ANN401 - a bound method of whatever shape, or None
    """Return the method of `job` called `name`, if it has one."""
    return getattr(job, name, None)
