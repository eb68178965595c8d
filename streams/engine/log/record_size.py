"""Estimates what records take in Kafka: never less than they do."""

from streams.engine.job import Output

RECORD_OVERHEAD_BYTES = 40  # more than the lengths, deltas and attributes of one record
HEADER_OVERHEAD_BYTES = 10  # two lengths
STAMP_BYTES = 1024  # room for the engine's own headers, and for the batch around a record


def output_bytes(output: Output) -> int:
    """Return roughly what an output takes in a record batch."""
    total = len(output.key or b"") + len(output.value or b"") + RECORD_OVERHEAD_BYTES
    for name, value in output.headers:
        # A character is at most four bytes; our own names are of one each.
        total += (len(name) if name.isascii() else len(name.encode())) + len(value or b"") + HEADER_OVERHEAD_BYTES
    return total
