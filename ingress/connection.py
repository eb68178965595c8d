"""How the ingress talks to Kafka: the arguments of its producer."""

import random
from functools import lru_cache

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from models.security import client_options
from models.settings import KafkaSettings
from models.topic_creation import never_create_topics

# One batch per partition and request. Larger than most bodies, so that they travel together, and well below what a
# broker accepts by default: a batch it refuses for its size is refused with all that is in it.
BATCH_BYTES_MAX = 256 * 2**10

PATIENTS_REMEMBERED = 50_000

# Ends an attempt to connect to a broker that accepts and then says nothing. For sends it is of no consequence: they
# have their own deadline, and a producer that is silent this long has been replaced.
REQUEST_TIMEOUT_MS = 4_000


class Partitioner:
    """Java's default over `partitions`, remembering the patients seen last: aiokafka's hash is Python, and slow.

    Partitions that somebody added to the topic are not used: nobody reads them, and patients would change places.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._hash = lru_cache(PATIENTS_REMEMBERED)(murmur2)

    def __call__(self, key: bytes | None, all_partitions: list[int], available: list[int]) -> int:
        """Return the partition for `key`."""
        if key is None:
            ours = [number for number in available or all_partitions if number < self._partitions]
            return random.choice(ours or range(self._partitions))  # noqa: S311 - not a secret
        hashed: int = self._hash(key)
        return (hashed & 0x7FFFFFFF) % self._partitions


def producer(settings: KafkaSettings) -> AIOKafkaProducer:
    """Return an idempotent producer, not yet started: `acks=all`, and in order per partition whatever is retried."""
    never_create_topics()
    return AIOKafkaProducer(
        client_id="metriport-streams-ingress",
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        partitioner=Partitioner(settings.topic_partitions),
        max_batch_size=BATCH_BYTES_MAX,
        max_request_size=settings.record_bytes_max,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        retry_backoff_ms=100,
        metadata_max_age_ms=30_000,
        **client_options(settings),
    )
