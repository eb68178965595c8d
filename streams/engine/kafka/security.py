"""Gives aiokafka its credentials and encryption; Faust's are in `driver.app`."""

from typing import Any

from streams.engine.settings import Security


def for_aiokafka(security: Security) -> dict[str, Any]:
    """Return the keyword arguments of an aiokafka client."""
    options: dict[str, Any] = {"security_protocol": security.protocol}
    if security.ssl_context is not None:
        options["ssl_context"] = security.ssl_context
    if security.protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": security.mechanism,
            "sasl_plain_username": security.username,
            "sasl_plain_password": security.password,
        }
    return options
