"""The whole way through a Kafka that wants TLS and a password."""

import asyncio
import os
import ssl
import subprocess
import sys
import uuid

import pytest_asyncio
import trustme
from cryptography.hazmat.primitives import serialization

from cli import processes
from cli.broker import kafka, ports
from models import samples
from tests.journeys.conftest import Service, about, value

PASSWORD = "a-password"
LISTENER = "listener.name.tls"


@pytest_asyncio.fixture
async def secured(tmp_path):
    """A Kafka with a listener for clients that have a password, over TLS; its address and the file of its CA."""
    authority, port = trustme.CA(), ports.free(1)[0]
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    keystore, trusted = tmp_path / "broker.pem", tmp_path / "ca.pem"
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    # Java reads no other form.
    as_pkcs8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    keystore.write_bytes(key.private_bytes(*as_pkcs8) + chain)
    authority.cert_pem.write_to_path(str(trusted))
    launch = kafka.prepare(tmp_path, None, tmp_path / "broker.log", print)
    configuration = tmp_path / "server.properties"
    configuration.write_text(
        configuration.read_text()
        .replace("listeners=PLAINTEXT", f"listeners=TLS://127.0.0.1:{port},PLAINTEXT", 1)
        .replace("advertised.listeners=PLAINTEXT", f"advertised.listeners=TLS://127.0.0.1:{port},PLAINTEXT")
        .replace("map=PLAINTEXT", "map=TLS:SASL_SSL,PLAINTEXT")
        + f"ssl.keystore.type=PEM\nssl.keystore.location={keystore}\nssl.client.auth=none\n"
        + f"{LISTENER}.sasl.enabled.mechanisms=PLAIN\n"
        + f"{LISTENER}.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
        + f'user_service="{PASSWORD}";\n'
    )
    with (tmp_path / "broker.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*launch.command, stdout=log, stderr=log)
    yield f"127.0.0.1:{port}", trusted
    if process.returncode is None:
        process.terminate()
    await process.wait()


async def test_a_delivery_goes_the_whole_way_over_tls_with_a_password(secured, tmp_path):
    address, trusted = secured
    service = Service(address, tmp_path, f"s{uuid.uuid4().hex[:8]}.", "http://127.0.0.1:1")
    service.environment |= {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SASL_USERNAME": "service",
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "KAFKA_SSL_CAFILE": str(trusted),
    }
    service.security = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "service",
        "sasl_plain_password": PASSWORD,
        "ssl_context": ssl.create_default_context(cafile=trusted),
    }
    await _until_it_answers(service)
    delivery = about("patient.admit", str(uuid.uuid4()))

    async with processes.child("ingress", environment=service.environment, log=service.log) as ingress:
        await processes.wait_until_ready(f"{service.url}/ready", ingress, service.log)
        await service.start_worker()
        status, _ = await service.deliver(samples.encode(delivery))
        found = await service.read("patients", until=lambda found: found["patients"])
        await service.stop_worker()

    assert status == 200
    assert value(found["patients"][0])["patientId"] == delivery["payload"]["patientId"]
    assert PASSWORD not in service.log.read_text()


async def _until_it_answers(service):
    """Apply the topics as soon as the broker is there."""
    command = [sys.executable, "-m", "cli", "topics", "apply"]
    async with asyncio.timeout(60):
        while await asyncio.to_thread(  # noqa: ASYNC110 - another process has no event of ours
            subprocess.call, command, env={**os.environ, **service.environment}, stderr=subprocess.DEVNULL
        ):
            await asyncio.sleep(0.5)
