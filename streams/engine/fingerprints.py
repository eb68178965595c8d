"""Identifies a record: enough to know it from another at the same offset of a log."""

import hashlib
from typing import NamedTuple

from streams.engine.job import Record

_DIGEST_BYTES = 16


class Fingerprint(NamedTuple):
    """The place of a record, its timestamp, and a hash of its key and value, as hexadecimal text."""

    offset: int
    timestamp: int
    digest: bytes

    def text(self) -> bytes:
        """Return the fingerprint as it is kept in a state."""
        return b"%d/%d/%s" % self


def fingerprint(record: Record) -> Fingerprint:
    """Return the fingerprint of a record."""
    return Fingerprint(record.offset, record.timestamp, digest(record.key, record.value))


def parse(text: bytes) -> Fingerprint:
    """Return the fingerprint that a text says."""
    offset, timestamp, digested = text.split(b"/")
    return Fingerprint(int(offset), int(timestamp), digested)


def digest(key: bytes | None, value: bytes | None) -> bytes:
    """Return a hash of key and value in which a missing one differs from an empty one, and their lengths count."""
    made = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in (key, value):
        made.update(b"-" if part is None else b"%d:" % len(part))
        made.update(part or b"")
    return made.hexdigest().encode()
