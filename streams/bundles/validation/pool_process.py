"""One process of the pool: takes chunks, gives findings, ends when the other side hangs up."""

import importlib
import resource
import signal
from multiprocessing.connection import Connection

import msgspec

from models import tuning
from streams.bundles.validation.build import Judges, Standards
from streams.bundles.validation.chunk import Chunk, examine

_CHUNK = msgspec.msgpack.Decoder(Chunk)


def work(connection: Connection, standards: Standards) -> None:
    """Examine chunks until the other side hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    # Already there in a process that the fork server made.
    judges: Judges = importlib.import_module("streams.bundles.validation.preload").JUDGES
    resource.setrlimit(resource.RLIMIT_AS, (standards.memory_bytes_max, standards.memory_bytes_max))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold patient data
    tuning.collect_seldom(50_000)
    tuning.raise_mmap_threshold(2**20)
    checker = judges.checker(standards)
    while True:
        try:
            chunk = _CHUNK.decode(connection.recv_bytes())
        except EOFError:
            return
        connection.send_bytes(msgspec.msgpack.encode(examine(checker, chunk)))
