"""Makes the record that goes to quarantine (a dead letter topic): the original bytes, and where and why it stopped."""

from models.headers import (
    GENERATION,
    QUARANTINE_ATTEMPT,
    QUARANTINE_LEFT_OUT,
    QUARANTINE_OFFSET,
    QUARANTINE_PARTITION,
    QUARANTINE_REASON,
    QUARANTINE_TIMESTAMP,
    QUARANTINE_TOPIC,
    RELEASED,
    SETTLED,
    SOURCE,
)
from models.reasons import Reason
from models.topics import QUARANTINE_ROOM_BYTES
from streams.engine.job import Output, Record
from streams.engine.log.record_size import STAMP_BYTES, output_bytes
from streams.engine.log.releases import attempt
from streams.engine.log.source_header import without

_OURS = (
    QUARANTINE_REASON,
    QUARANTINE_TOPIC,
    QUARANTINE_PARTITION,
    QUARANTINE_OFFSET,
    QUARANTINE_TIMESTAMP,
    QUARANTINE_ATTEMPT,
    QUARANTINE_LEFT_OUT,
    SOURCE,
    SETTLED,
    GENERATION,
    RELEASED,
)


def quarantined(record: Record, reason: Reason, *, topic: str) -> Output:
    """Return `record` as it goes to the quarantine `topic`, with the place that it first had."""
    facts = [
        (QUARANTINE_REASON, reason.encode()),
        (QUARANTINE_TOPIC, record.topic.encode()),
        (QUARANTINE_PARTITION, b"%d" % record.partition),
        (QUARANTINE_OFFSET, b"%d" % record.offset),
        (QUARANTINE_TIMESTAMP, b"%d" % record.timestamp),
        (QUARANTINE_ATTEMPT, b"%d" % attempt(record)),
    ]
    return Output(topic, record.key, record.value, [*without(record.headers, *_OURS), *facts])


def bytes_max(record_bytes_max: int) -> int:
    """Return how large a record of a quarantine topic may be."""
    return record_bytes_max + QUARANTINE_ROOM_BYTES


def fitting(output: Output, record_bytes_max: int) -> Output:
    """Return what `quarantined` made, small enough to be written.

    A record of its source fits as it is. One that came compressed, or whose headers grew because they are made legible,
    may not: then of its headers, its value and its key the largest are left out, and their sizes are told. Its position
    says where they are.
    """
    ours = [header for header in output.headers if header[0] in _OURS]
    sizes = {
        "headers": output_bytes(output) - output_bytes(output._replace(headers=ours)),
        "value": len(output.value or b""),
        "key": len(output.key or b""),
    }
    total, room, left_out = output_bytes(output), bytes_max(record_bytes_max) - STAMP_BYTES, set[str]()
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if total > room:
            left_out.add(name)
            total -= sizes[name]
    if not left_out:
        return output
    told = " ".join(f"{name}={sizes[name]}" for name in sorted(left_out)).encode()
    return Output(
        output.topic,
        None if "key" in left_out else output.key,
        None if "value" in left_out else output.value,
        [*(ours if "headers" in left_out else output.headers), (QUARANTINE_LEFT_OUT, told)],
    )
