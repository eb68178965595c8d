"""A table's state in RocksDB, read and written many keys at a time."""

# ruff: noqa: ANN401 - Faust, aiokafka and RocksDB have no types

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from faust.stores import rocksdb
from rocksdict import WriteBatch

from streams.engine.fatal import Fatal
from streams.engine.state_memory import StateMemory


class LocalState(Protocol):
    """What the engine needs of a store; the keys of each partition are its own."""

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of `keys`, in order."""

    def put_many(self, partition: int, changes: Iterable[tuple[bytes, bytes | None]], offset: int) -> None:
        """Apply `changes` and note the changelog offset they reach, both or neither."""

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys that start with `prefix`, in order, with their values."""

    def reaches(self, partition: int) -> int | None:
        """Return the changelog offset that this copy contains, or None if it is empty."""


class BatchStore(rocksdb.Store):  # type: ignore[misc]
    """Faust's RocksDB store, plus what the engine reads and writes by."""

    memory: StateMemory  # in which all partitions are opened

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of `keys`, in order."""
        values: list[bytes | None] = self._db_for_partition(partition).get(list(keys))
        return values

    def put_many(self, partition: int, changes: Iterable[tuple[bytes, bytes | None]], offset: int) -> None:
        """Apply `changes` and note the changelog offset they reach, in one atomic write."""
        batch = WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(self.offset_key, b"%d" % offset)
        self._db_for_partition(partition).write(batch)

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys that start with `prefix`, in order, with their values."""
        for key, value in self._db_for_partition(partition).items(from_key=prefix):
            if not key.startswith(prefix):
                return
            if key != self.offset_key:
                yield key, value

    def reaches(self, partition: int) -> int | None:
        """Return the changelog offset that this copy contains, or None if it is empty."""
        offset = self._db_for_partition(partition).get(self.offset_key)
        return None if offset is None else int(offset)

    def _open_for_partition(self, partition: int) -> Any:
        try:
            return self.memory.open(self.partition_path(partition))
        except Exception as error:
            if "lock" in str(error).lower():  # another process still has it: Faust tries again
                raise
            raise Fatal(
                f"state of partition {partition} cannot be opened ({type(error).__name__}). Operator action: stop the "
                f"worker, delete {self.partition_path(partition)}, start it; the state is restored from the changelog."
            ) from None
