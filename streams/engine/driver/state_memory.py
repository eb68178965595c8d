"""Bounds the memory of the local copies of all partitions of one process, however many there are."""

# ruff: noqa: FBT003 - RocksDB takes its arguments by position

from pathlib import Path
from typing import Any

from rocksdict import AccessType, BlockBasedIndexType, BlockBasedOptions, Cache, Options, Rdict, WriteBufferManager

_BLOOM_BITS_PER_KEY = 10
_BUFFERS_PER_PARTITION = 2  # one is filled while the other is written to disk
_BUFFER_BYTES_LEAST = 64 * 2**10  # RocksDB takes no less
_BUFFER_BYTES_MOST = 8 * 2**20
_LOG_FILES = 2  # RocksDB's own; a thousand by default
_LOG_BYTES_MAX = 2**20


class StateMemory:
    """One block cache for all partitions, to which unwritten changes, indexes and filters are charged too.

    https://github.com/facebook/rocksdb/wiki/Memory-usage-in-RocksDB
    """

    def __init__(self, bytes_max: int, *, partitions: int, open_files_max: int) -> None:
        self._open_files_max = max(open_files_max // partitions, 16)
        # Half for what is written: a share for each partition, rather than one amount for which they compete. With
        # that, a busy partition would be flushed at every write as long as idle ones hold the rest.
        share = bytes_max // 2 // (partitions * _BUFFERS_PER_PARTITION)
        self._buffer_bytes = min(max(share, _BUFFER_BYTES_LEAST), _BUFFER_BYTES_MOST)
        self._cache = Cache(bytes_max)
        self._buffers = WriteBufferManager.new_write_buffer_manager_with_cache(bytes_max, False, self._cache)

    @property
    def used_bytes(self) -> int:
        """Return what blocks, indexes, filters and unwritten changes take now."""
        return int(self._cache.get_usage())

    def open(self, path: Path) -> Any:
        """Return the database at `path`, made if it is not there."""
        return Rdict(str(path), options=self._options(), access_type=AccessType.read_write())

    def _options(self) -> Options:
        tables = BlockBasedOptions()
        tables.set_block_cache(self._cache)
        tables.set_bloom_filter(_BLOOM_BITS_PER_KEY, block_based=False)
        tables.set_index_type(BlockBasedIndexType.binary_search())
        # Otherwise each open file keeps its own outside of the cache, more with every file.
        tables.set_cache_index_and_filter_blocks(True)
        tables.set_pin_l0_filter_and_index_blocks_in_cache(True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(tables)
        options.set_write_buffer_manager(self._buffers)
        options.set_write_buffer_size(self._buffer_bytes)
        options.set_max_write_buffer_number(_BUFFERS_PER_PARTITION)
        options.set_max_open_files(self._open_files_max)
        options.set_keep_log_file_num(_LOG_FILES)
        options.set_max_log_file_size(_LOG_BYTES_MAX)
        return options
