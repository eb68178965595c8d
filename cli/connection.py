"""An operator's connection to Kafka: quick to say that nobody answers."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from cli.broker.errors import Unreachable
from cli.broker.readiness import somebody_listens
from models.settings import KafkaSettings

REQUEST_TIMEOUT_MS = 15_000


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the keyword arguments of an aiokafka client."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
        if settings.kafka_ssl_certfile:
            context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
        options["ssl_context"] = context
    if settings.kafka_security_protocol.startswith("SASL") and settings.kafka_sasl_password:
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password.get_secret_value(),
        }
    return options


@asynccontextmanager
async def administration(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Have an admin client for a while; raise `Unreachable` if nobody answers, now or later."""
    if not await somebody_listens(settings.kafka_bootstrap_servers):
        raise Unreachable(f"No Kafka answers at {settings.kafka_bootstrap_servers}.")
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
