"""A real Kafka for the tests of this folder: one broker for the session, topics of its own for each test."""

import logging
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import pytest_asyncio
import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from hypothesis import settings

from cli import broker
from models import telemetry

# No test depends on how fast the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

Topics = Callable[..., Awaitable[list[str]]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Bootstrap servers of a broker with its own folder and port; it ends with the session, however that ends."""
    async with broker.running(tmp_path_factory.mktemp("broker")) as running:
        yield running.bootstrap_servers


@pytest.fixture(autouse=True)
def umask_of_most_machines() -> Iterator[None]:
    """A process of the service closes its umask; a command run within this one must not do so for other tests."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    """A process of the service sets up its log; a command run within this one must not silence that of other tests."""
    clients, level = logging.getLogger("aiokafka"), telemetry._level
    before = clients.level
    yield
    structlog.reset_defaults()
    telemetry._level = level
    clients.setLevel(before)


@pytest.fixture
def topic_prefix() -> str:
    """First part of every topic and group name of one test."""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest_asyncio.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client."""
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
def topics(admin: AIOKafkaAdminClient, topic_prefix: str) -> Topics:
    """Create topics with `await topics("webhooks", partitions=12, configs={...})` and get their full names."""

    async def create(*names: str, partitions: int = 4, configs: dict[str, str] | None = None) -> list[str]:
        full = [f"{topic_prefix}{name}" for name in names]
        await admin.create_topics(
            [
                NewTopic(name, num_partitions=partitions, replication_factor=1, topic_configs=configs or {})
                for name in full
            ]
        )
        # Created is not yet visible: a client that asks too early is told that there is no such topic.
        while {topic["error_code"] for topic in await admin.describe_topics(full)} != {0}:
            pass
        return full

    return create
