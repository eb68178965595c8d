"""What the engine needs of Kafka and of the local copy of its state, said without Faust, aiokafka or RocksDB.

`kafka.sender`, `kafka.reader` and `driver.store` are the real ones; tests/unit/engine/fakes.py has some in memory.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from streams.engine.fingerprints import Fingerprint
from streams.engine.job import Output, Record

LogPartition: TypeAlias = tuple[str, int]  # topic, partition number


class Span(NamedTuple):
    """The first offset that a partition holds, and the one behind its last."""

    first: int
    end: int


class Copy(NamedTuple):
    """The changelog offset a copy contains, the hash of the record there, and when that was known to be all there is.

    Copies of earlier versions have neither hash nor time.
    """

    reached: int
    digest: bytes = b""
    current_at_ms: int | None = None


class Sender(Protocol):
    """Writes to topics."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Disconnect, within a limit."""

    def expect(self, ends: Mapping[LogPartition, int]) -> None:
        """Take in where the logs end: the next record of ours must be acknowledged at exactly that offset."""

    def end(self, topic: str, partition: int) -> int:
        """Return where a log ends that was written to."""

    async def send(self, partition: int, outputs: Mapping[str, Sequence[Output]], *, whole: bool = False) -> int:
        """Write to several topics at once; return the last offset of the last topic when all are acknowledged.

        With `whole` the records of each topic are one record batch: all or none of them exist. Raises `Fatal` if
        something is not acknowledged in time, or not at the offset that was expected.
        """

    def fits(self, outputs: Sequence[Output]) -> bool:
        """Return whether these make one record batch of ordinary size."""


class Logs(Protocol):
    """Reads topics outside the consumer group."""

    async def counts(self, topics: Iterable[str]) -> dict[str, int]:
        """Return the partition count of each topic, 0 for one that is missing."""

    async def ends(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        """Return the next offset of each partition."""

    async def spans(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, Span]:
        """Return where each partition begins and ends."""

    async def committed(self, partitions: Iterable[LogPartition]) -> dict[LogPartition, int]:
        """Return what the stage's group has committed, where it has."""

    async def at(self, places: Mapping[LogPartition, Sequence[int]]) -> dict[tuple[LogPartition, int], Fingerprint]:
        """Return the fingerprints of the records at these offsets."""

    def last(self, ends: Mapping[LogPartition, int], count: int) -> AsyncIterator[tuple[LogPartition, Record]]:
        """Yield the last `count` records before each end, in order."""

    def records(
        self, ranges: Mapping[LogPartition, tuple[int, int]]
    ) -> AsyncIterator[tuple[LogPartition, Sequence[Record]]]:
        """Yield the records between start and end of each partition, in order, few at a time."""


class Scan(Protocol):
    """Reads the keys of a state that begin alike."""

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys that start with `prefix`, in order, with their values."""


class LocalState(Scan, Protocol):
    """The local copy of the state; the keys of each partition number are its own."""

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of `keys`, in order."""

    def put_many(self, partition: int, changes: Iterable[tuple[bytes, bytes | None]], offset: int) -> None:
        """Apply `changes` and note the changelog offset they reach, both or neither."""

    def reaches(self, partition: int) -> int | None:
        """Return the changelog offset that this copy contains, or None if it is empty."""


class LocalCopy(LocalState, Protocol):
    """What the restore needs of it too."""

    def copy(self, partition: int) -> Copy | None:
        """Return how current this copy is, or None if it is empty."""

    def touch(self, partition: int) -> None:
        """Note that this copy contains all of its changelog now."""

    def wipe(self, partition: int) -> None:
        """Empty this copy."""
