"""An operator's connection to Kafka: quick to say that nobody answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from cli.broker.errors import Unreachable
from cli.broker.readiness import somebody_listens
from models.security import client_options
from models.settings import KafkaSettings
from models.topic_creation import never_create_topics
from models.topics import QUARANTINE_ROOM_BYTES

REQUEST_TIMEOUT_MS = 15_000


@asynccontextmanager
async def administration(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Have an admin client for a while; raise `Unreachable` if nobody answers, now or later."""
    if not await somebody_listens(settings.kafka_bootstrap_servers):
        raise Unreachable(f"No Kafka answers at {settings.kafka_bootstrap_servers}.")
    never_create_topics()
    admin = AIOKafkaAdminClient(request_timeout_ms=REQUEST_TIMEOUT_MS, **client_options(settings))
    try:
        await admin.start()
        yield admin
    except (KafkaConnectionError, TimeoutError, OSError):
        raise Unreachable(f"No Kafka answers at {settings.kafka_bootstrap_servers}.") from None
    except KafkaError as problem:
        raise Unreachable(f"Kafka refused: {type(problem).__name__}.") from None
    finally:
        await admin.close()


@asynccontextmanager
async def decisions(
    settings: KafkaSettings, *, what: str = "the decision", then: str = ""
) -> AsyncIterator[AIOKafkaProducer]:
    """Have a producer for what operators decide for a while; it takes whatever stands in quarantine.

    Raise `Unreachable` if Kafka does not take something, with a sentence about `what` that was, and `then`: what that
    means for what was begun.
    """
    never_create_topics()
    producer = AIOKafkaProducer(
        acks="all",
        enable_idempotence=True,
        max_request_size=settings.record_bytes_max + QUARANTINE_ROOM_BYTES,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        **client_options(settings),
    )
    try:
        await producer.start()
        yield producer
    except (KafkaError, TimeoutError, OSError):
        said = f"No Kafka took {what} at {settings.kafka_bootstrap_servers}. {then}"
        raise Unreachable(said.rstrip()) from None
    finally:
        await producer.stop()
