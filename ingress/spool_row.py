"""What is written of one delivery, and the seal by which its bytes are known to be those that were written. Pure."""

import hashlib
import re
import zlib

from ingress.records import Delivery

SEAL_BYTES = 8
_RECEIVED_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
# Positive in SQLite's signed 64 bits, and never taken for the 32 bits that spools held before.
_POSITIVE = (1 << 62) - 1
_NOT_32_BITS = 1 << 62


def seal(delivery: Delivery) -> int:
    """Return a number that no delivery with other bytes has."""
    hashed = hashlib.blake2b(delivery.received_at.encode(), digest_size=SEAL_BYTES)
    hashed.update(delivery.body)
    return int.from_bytes(hashed.digest()) & _POSITIVE | _NOT_32_BITS


def opened(received_at: object, sealed: object, body: object) -> Delivery | None:
    """Return the delivery with this seal, or None if it is not what was written."""
    if not (isinstance(received_at, str) and isinstance(body, bytes) and isinstance(sealed, int)):
        return None
    delivery = Delivery(body, received_at)
    # The first version of the spool held a CRC of the body alone.
    if sealed < _NOT_32_BITS:
        return delivery if zlib.crc32(body) == sealed and _RECEIVED_AT.fullmatch(received_at) else None
    return delivery if seal(delivery) == sealed else None
