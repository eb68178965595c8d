"""Kafka authentication and encryption, as aiokafka takes it: what an operator set, once for all clients."""

import ssl
from typing import Any

from models.errors import Misconfigured
from models.settings import KafkaSettings


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return an aiokafka client's arguments for address and security; raise `Misconfigured` if a file is no use."""
    return {"bootstrap_servers": settings.kafka_bootstrap_servers, **security_options(settings)}


def security_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return those for security alone: `security_protocol`, and what that needs of `ssl_context` and `sasl_*`."""
    options: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if (context := ssl_context(settings)) is not None:
        options["ssl_context"] = context
    password = settings.kafka_sasl_password
    sasl = {
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": None if password is None else password.get_secret_value(),
    }
    return options | sasl if settings.kafka_security_protocol.startswith("SASL") else options


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """Return the TLS context, None if the protocol has no TLS; raise `Misconfigured` if a file is no use."""
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
        if settings.kafka_ssl_certfile is not None:
            context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    except OSError as error:  # which `ssl.SSLError` is
        problem = error.strerror or "not what they should be"
        raise Misconfigured(f"The KAFKA_SSL_* files cannot be used: {problem}.") from None
    return context
