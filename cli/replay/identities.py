"""The `ce_id`s that a topic holds, sixteen bytes each."""

from collections.abc import Mapping
from contextlib import aclosing
from hashlib import blake2b

from aiokafka import TopicPartition

from cli.reading import Range, read
from models import headers
from models.errors import Misconfigured
from models.settings import KafkaSettings

IDENTITIES_MAX = 20_000_000  # about 2 GB


class Identities:
    """What is in a topic already; a record without a `ce_id` never is."""

    def __init__(self) -> None:
        self._known = set[bytes]()

    def add(self, given: headers.Headers) -> None:
        """Take in a record, by its headers; raise `Misconfigured` if there are too many."""
        if (name := _hashed(given)) is not None:
            self._known.add(name)
            if len(self._known) > IDENTITIES_MAX:
                raise Misconfigured(f"The topic of --missing-in holds more than {IDENTITIES_MAX} records.")

    def has(self, given: headers.Headers) -> bool:
        """Return whether a record with the `ce_id` in these headers is known."""
        return _hashed(given) in self._known


async def identities(settings: KafkaSettings, ranges: Mapping[TopicPartition, Range]) -> Identities:
    """Return what these ranges hold; raise `Unreachable` if Kafka goes away."""
    found = Identities()
    async with aclosing(read(settings, ranges)) as pieces:
        async for _, records, _ in pieces:
            for record in records:
                found.add(record.headers)
    return found


def _hashed(given: headers.Headers) -> bytes | None:
    ce_id = next((value for name, value in reversed(given) if name == headers.CE_ID), None)
    return None if ce_id is None else blake2b(ce_id, digest_size=16).digest()
