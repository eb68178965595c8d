"""What becomes of a record nobody can process: its own bytes, and where and why it stopped."""

from models.headers import SOURCE
from streams.engine.job import Output, Record
from streams.engine.sources import GENERATION, SETTLED, without

REASON = "x-quarantine-reason"
TOPIC = "x-quarantine-topic"
PARTITION = "x-quarantine-partition"
OFFSET = "x-quarantine-offset"
TIMESTAMP = "x-quarantine-timestamp"
ATTEMPT = "x-quarantine-attempt"

UNREADABLE = "unreadable"  # decode failed in a way nobody foresaw
UNPROCESSABLE = "unprocessable"  # the work on it failed in a way nobody foresaw
TOO_LARGE = "too_large"  # what became of it does not fit into a record


def quarantined(record: Record, reason: str, *, topic: str, attempt: int = 1) -> Output:
    """Return `record` as it goes to the quarantine `topic`."""
    facts = [
        (REASON, reason.encode()),
        (TOPIC, record.topic.encode()),
        (PARTITION, b"%d" % record.partition),
        (OFFSET, b"%d" % record.offset),
        (TIMESTAMP, b"%d" % record.timestamp),
        (ATTEMPT, b"%d" % attempt),
    ]
    ours = (*(name for name, _ in facts), SOURCE, SETTLED, GENERATION)
    return Output(topic, record.key, record.value, [*without(record.headers, *ours), *facts])
