r"""Reads records that aiokafka would refuse again and again: those with header names that are not UTF-8.

Kafka takes any bytes for a name, and clients other than Java's write what they are given. Such a name is made legible
(`\xff`); everything else of the record is as it came.
"""

import struct
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH = struct.Struct(">i")
_LENGTH_AT = 8  # https://kafka.apache.org/documentation/#recordbatch: the length counts what is behind it


def accept() -> None:
    """Let every consumer of this process read them."""
    fetcher.MemoryRecords = Records


class Records:
    """The batches of one answer; as `MemoryRecords`, whose place it takes."""

    def __init__(self, data: bytes) -> None:
        self._records = MemoryRecords(data)
        self._data = data
        self._at = 0

    def size_in_bytes(self) -> int:
        """Return the bytes of all batches."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Return whether there is another whole batch."""
        return bool(self._records.has_next())

    def next_batch(self) -> Any:
        """Return it."""
        batch, begin = self._records.next_batch(), self._at
        if batch is None:
            return None
        self._at += _LENGTH.unpack_from(self._data, begin + _LENGTH_AT)[0] + _LENGTH_AT + _LENGTH.size
        return _Batch(batch, memoryview(self._data)[begin : self._at])


class _Batch:
    """One batch: read fast, and from the beginning once more, slowly, if that fails."""

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        # How a reader of committed records looks at the mark that ends a transaction: it has no headers.
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._batch
        except UnicodeDecodeError:
            yield from _Legible(bytes(self._data))  # whoever iterates skips the offsets it has seen


class _Legible(_DefaultRecordBatchPy):  # type: ignore[misc]
    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: Any = _Text(self._buffer)


class _Text(bytearray):
    """Bytes whose parts decode, whatever they are."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Text(found) if isinstance(at, slice) else found

    def decode(self, *_: Any) -> str:
        return bytes(self).decode("utf-8", "backslashreplace")
