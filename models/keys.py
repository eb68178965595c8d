"""Names of bounded size: an id is itself as long as it is short, else its SHA-256. Senders decide how long theirs are.

What is stored under such a name is looked for under the same name for ever: a form given here does not change.
"""

import hashlib


def short(name: bytes, *, bytes_max: int) -> bytes:
    """Return `name`, or the hexadecimal digits of its hash if it has more than `bytes_max` bytes."""
    return name if len(name) <= bytes_max else hashlib.sha256(name).hexdigest().encode()


def short_raw(name: bytes, *, bytes_max: int) -> bytes:
    """Return `name`, or the 32 bytes of its hash if it has more than `bytes_max` bytes."""
    return name if len(name) <= bytes_max else hashlib.sha256(name).digest()


def short_text(name: str, *, chars_max: int) -> str:
    """Return `name`, or the hexadecimal digits of its hash if it has more than `chars_max` characters."""
    return name if len(name) <= chars_max else hashlib.sha256(name.encode()).hexdigest()
