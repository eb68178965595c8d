"""Run one process of the pool: take chunks, give results, end when the other side hangs up."""

import importlib
import resource
import signal
from multiprocessing.connection import Connection

import msgspec

from models import tuning
from streams.bundles.validation.build import Standards, Validators
from streams.bundles.validation.chunk import Chunk, validate

_CHUNK = msgspec.msgpack.Decoder(Chunk)


def work(connection: Connection, standards: Standards) -> None:
    """Validate chunks until the other side hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    # Already there in a process that the fork server made.
    validators: Validators = importlib.import_module("streams.bundles.validation.preload").VALIDATORS
    resource.setrlimit(resource.RLIMIT_AS, (standards.memory_bytes_max, standards.memory_bytes_max))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold patient data
    tuning.collect_seldom(50_000)
    tuning.raise_mmap_threshold(2**20)
    validator = validators.validator(standards)
    while True:
        try:
            chunk = _CHUNK.decode(connection.recv_bytes())
        except EOFError:
            return
        connection.send_bytes(msgspec.msgpack.encode(validate(validator, chunk)))
