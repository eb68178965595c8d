"""How Kafka is entered, from the settings."""

import ssl

import pytest

from models.errors import Misconfigured
from models.security import client_options
from models.settings import KafkaSettings


def options(**settings):
    return client_options(KafkaSettings(kafka_bootstrap_servers="a:1", **settings))


def test_plain_text_needs_no_more_than_an_address():
    assert options() == {"bootstrap_servers": "a:1", "security_protocol": "PLAINTEXT"}


def test_sasl_over_tls_has_a_context_and_who_we_are():
    found = options(kafka_security_protocol="SASL_SSL", kafka_sasl_username="u", kafka_sasl_password="p")

    assert isinstance(found["ssl_context"], ssl.SSLContext)
    assert (found["sasl_mechanism"], found["sasl_plain_username"], found["sasl_plain_password"]) == (
        "SCRAM-SHA-512",
        "u",
        "p",
    )


def test_a_certificate_file_that_is_no_use_is_said(tmp_path):
    with pytest.raises(Misconfigured, match="KAFKA_SSL"):
        options(kafka_security_protocol="SSL", kafka_ssl_cafile=tmp_path / "missing.pem")
