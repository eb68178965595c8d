"""The rights that docs/operations.md gives to each process are all that it needs."""

import asyncio
import re
import shlex
import uuid
from pathlib import Path

import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import CreateAclsRequest

from cli import processes
from cli.broker import kafka, ports
from models import samples
from models.stages import STAGES
from tests.journeys.conftest import Service, about, command, value

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
USERS = ("metriport-ingress", "metriport-worker", "metriport-operator", "reader")
PASSWORD = "a-password"

# https://kafka.apache.org/protocol.html#The_Messages_CreateAcls, and the enumerations of org.apache.kafka.common.acl
TOPIC, GROUP = 2, 3
LITERAL, PREFIXED = 3, 4
DENY, ALLOW = 2, 3
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10, "AlterConfigs": 11}


def rights():
    """Yield what the page's `acl` lines grant, as Kafka's protocol has it."""
    (block,) = [each for each in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL) if "kafka-acls" in each]
    block = re.sub(
        r"for (\w+) in ([^;]+); do\n(.*?)done\n",
        lambda loop: "".join(loop[3].replace(f"${loop[1]}", each) for each in loop[2].split()),
        block.replace("\\\n", " "),
        flags=re.DOTALL,
    )
    for line in block.splitlines():
        if not line.strip().startswith("acl --"):
            continue
        words = shlex.split(line)[1:]
        said = [(name.removeprefix("--"), word) for name, word in zip(words[::2], words[1::2], strict=True)]
        facts = dict(said)
        kind = (TOPIC, facts["topic"]) if "topic" in facts else (GROUP, facts["group"])
        pattern = PREFIXED if facts.get("resource-pattern-type") == "prefixed" else LITERAL
        allowed = ALLOW if "allow-principal" in facts else DENY
        principal = facts.get("allow-principal") or facts["deny-principal"]
        for name, operation in said:
            if name == "operation":
                yield *kind, pattern, principal, "*", OPERATIONS[operation], allowed


@pytest_asyncio.fixture
async def guarded(tmp_path):
    """A Kafka that lets nobody do what the page does not grant; its address for users with a password."""
    port = ports.free(1)[0]
    launch = kafka.prepare(tmp_path, None, tmp_path / "broker.log", print)
    configuration = tmp_path / "server.properties"
    users = " ".join(f'user_{name}="{PASSWORD}"' for name in USERS)
    configuration.write_text(
        configuration.read_text()
        .replace("listeners=PLAINTEXT", f"listeners=USERS://127.0.0.1:{port},PLAINTEXT", 1)
        .replace("advertised.listeners=PLAINTEXT", f"advertised.listeners=USERS://127.0.0.1:{port},PLAINTEXT")
        .replace("map=PLAINTEXT", "map=USERS:SASL_PLAINTEXT,PLAINTEXT")
        + "listener.name.users.sasl.enabled.mechanisms=PLAIN\n"
        + "listener.name.users.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
        + f"{users};\n"
        + "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
        + "super.users=User:ANONYMOUS\n"
    )
    with (tmp_path / "broker.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*launch.command, stdout=log, stderr=log)
    admin = await _administration(f"127.0.0.1:{launch.port}")
    for right in rights():
        response = await admin._send_request(CreateAclsRequest(*right))
        assert [code for code, _ in response.creation_responses] == [0]
    await admin.close()
    yield f"127.0.0.1:{port}"
    if process.returncode is None:
        process.terminate()
    await process.wait()


async def _administration(address):
    """Return a client once the broker is there."""
    async with asyncio.timeout(60):
        while True:
            admin = AIOKafkaAdminClient(bootstrap_servers=address)
            try:
                await admin.start()
            except KafkaError:
                await admin.close()
                await asyncio.sleep(0.5)
            else:
                return admin


async def test_each_process_does_its_work_with_the_rights_that_are_told(guarded, tmp_path):
    service = Service(guarded, tmp_path, "metriport.", "http://127.0.0.1:1")
    common = service.environment | {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN"}
    common["KAFKA_SASL_PASSWORD"] = PASSWORD
    ingress, worker, operator, reader = ({**common, "KAFKA_SASL_USERNAME": name} for name in USERS)
    service.security = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": reader["KAFKA_SASL_USERNAME"],
        "sasl_plain_password": PASSWORD,
    }
    delivery = about("patient.admit", str(uuid.uuid4()))

    applied = await command("topics", "apply", "--mend", environment=operator)
    async with (
        processes.child("ingress", environment=ingress, log=service.log) as running,
        processes.child("worker", environment=worker, log=service.log) as stages,
    ):
        await processes.wait_until_ready(f"{service.url}/ready", running, service.log)
        status, _ = await service.deliver(samples.encode(delivery))
        for stage in STAGES.values():  # `doctor` asks each of them
            url = f"http://127.0.0.1:{stage.port(service.worker_port)}/ready"
            await processes.wait_until_ready(url, stages, service.log)
        found = await service.read("patients", "bundles", until=lambda found: all(found.values()))
        looked = [
            await command(*words, environment=operator)
            for words in (
                ("doctor",),
                ("topics", "list"),
                ("topics", "accept"),
                ("fhir", "removals", "list"),
                ("tail", "webhooks", "--from-start", "--no-follow"),
            )
        ]

    assert applied[0] == 0, applied[2]
    assert status == 200
    assert value(found["patients"][0])["patientId"] == delivery["payload"]["patientId"]
    assert [(code, problems) for code, _, problems in looked] == [(0, problems) for _, _, problems in looked]
