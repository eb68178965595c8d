"""An operator's connection to Kafka: quick to say that nobody answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from cli.broker.errors import Unreachable
from cli.broker.readiness import somebody_listens
from models.security import client_options
from models.settings import KafkaSettings
from models.topic_creation import never_create_topics

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
