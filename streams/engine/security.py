"""The same credentials in the words of aiokafka and of Faust."""

# ruff: noqa: ANN401 - Faust, aiokafka and RocksDB have no types

from typing import Any

import faust

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


def for_faust(security: Security) -> Any:
    """Return Faust's `broker_credentials`, or None."""
    if security.protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=security.username,
            password=security.password,
            mechanism=security.mechanism,
            ssl_context=security.ssl_context,
        )
    return faust.SSLCredentials(security.ssl_context) if security.protocol == "SSL" else None
