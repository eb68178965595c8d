"""How to enter Kafka, from what an operator set: the one place that reads the KAFKA_SSL_* files."""

import ssl
from typing import Any

from models.errors import Misconfigured
from models.settings import KafkaSettings


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return an aiokafka client's arguments for address and security; raise `Misconfigured` if a file is no use."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
    }
    if (context := ssl_context(settings)) is not None:
        options["ssl_context"] = context
    if settings.kafka_security_protocol.startswith("SASL") and settings.kafka_sasl_password is not None:
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return options


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
