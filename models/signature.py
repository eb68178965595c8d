"""Metriport's signature: lower-case hex of HMAC-SHA256 over the body's exact bytes; the key is used as text."""

import hmac
import re
from collections.abc import Iterable

from models.errors import BadSignature

HEADER = "x-metriport-signature"

_WELL_FORMED = re.compile(r"[0-9a-f]{64}")


def well_formed(signature: str) -> bool:
    """Tell whether this could be a signature at all, of any body and key."""
    return _WELL_FORMED.fullmatch(signature) is not None


def sign(body: bytes, *, key: bytes) -> str:
    """Return the signature Metriport would send with `body`."""
    return hmac.digest(key, body, "sha256").hex()


def matches(body: bytes, signature: str, *, key: bytes) -> bool:
    """Tell whether `key` signed exactly these bytes, in constant time."""
    # As bytes: `compare_digest` raises on a non-ASCII `str`, which anybody can send.
    return hmac.compare_digest(sign(body, key=key).encode(), signature.encode("utf-8", "surrogateescape"))


def verify(body: bytes, signature: str | None, *, keys: Iterable[bytes]) -> None:
    """Return if one of `keys` signed exactly these bytes; raise `BadSignature` otherwise."""
    # Every key is tried, so the time taken does not tell which one matched.
    found = [matches(body, signature or "", key=key) for key in keys]
    if not any(found):
        raise BadSignature
