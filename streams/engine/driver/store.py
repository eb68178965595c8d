"""Reads and writes a table's state in RocksDB, many keys at a time."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from faust.stores import rocksdb
from rocksdict import Rdict, WriteBatch

from streams.engine.driver.state_memory import StateMemory
from streams.engine.fatal import Fatal
from streams.engine.fingerprints import digest
from streams.engine.ports import Copy

_COPY = b"__engine\0copy__"  # when this copy was current, and the hash of the last record in it; in no changelog


class BatchStore(rocksdb.Store):  # type: ignore[misc]
    """Faust's RocksDB store, which is also the engine's `LocalCopy`."""

    memory: StateMemory  # in which all partitions are opened

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the values of `keys`, in order."""
        values: list[bytes | None] = self._db_for_partition(partition).get(list(keys))
        return values

    def put_many(self, partition: int, changes: Iterable[tuple[bytes, bytes | None]], offset: int) -> None:
        """Apply `changes` and note the changelog offset they reach, in one atomic write."""
        batch = WriteBatch(raw_mode=True)
        last: tuple[bytes, bytes | None] | None = None
        for last in changes:
            key, value = last
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(self.offset_key, b"%d" % offset)
        batch.put(_COPY, _stamp(digest(*last) if last else b""))
        self._db_for_partition(partition).write(batch)

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys that start with `prefix`, in order, with their values."""
        for key, value in self._db_for_partition(partition).items(from_key=prefix):
            if not key.startswith(prefix):
                return
            if key not in (self.offset_key, _COPY):
                yield key, value

    def reaches(self, partition: int) -> int | None:
        """Return the changelog offset that this copy contains, or None if it is empty."""
        offset = self._db_for_partition(partition).get(self.offset_key)
        return None if offset is None else int(offset)

    def copy(self, partition: int) -> Copy | None:
        """Return how current this copy is, or None if it is empty."""
        reached, stamp = self._db_for_partition(partition).get([self.offset_key, _COPY])
        if reached is None:
            return None
        if stamp is None:
            return Copy(int(reached))
        current_at_ms, digested = stamp.split(b"/")
        return Copy(int(reached), digested, int(current_at_ms))

    def touch(self, partition: int) -> None:
        """Note that this copy contains all of its changelog now."""
        if copy := self.copy(partition):
            self._db_for_partition(partition).put(_COPY, _stamp(copy.digest))

    def wipe(self, partition: int) -> None:
        """Empty this copy."""
        self._db_for_partition(partition).close()
        del self._dbs[partition]
        Rdict.destroy(str(self.partition_path(partition)))

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


def _stamp(digested: bytes) -> bytes:
    return b"%d/%s" % (time.time_ns() // 1_000_000, digested)
