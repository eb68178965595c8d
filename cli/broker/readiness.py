"""Whether a Kafka answers: not a listening port but a client that got metadata."""

import asyncio
import time
from collections.abc import Callable

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

POLL_S = 0.1
CONNECT_TIMEOUT_S = 2.0
METADATA_TIMEOUT_MS = 5_000


async def answers(bootstrap_servers: str) -> bool:
    """Say whether one of the servers gives metadata that names a broker."""
    if not await somebody_listens(bootstrap_servers):
        return False
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=METADATA_TIMEOUT_MS)
    try:
        await client.bootstrap()
        return bool(client.cluster.brokers())
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()


async def somebody_listens(bootstrap_servers: str) -> bool:
    """Say whether a connection can be made to one of the servers.

    Kafka's client logs each refused connection as an error; asking here first keeps it quiet.
    """
    return any([await _listens(server) for server in bootstrap_servers.split(",")])


async def wait_for_metadata(bootstrap_servers: str, *, deadline: float, alive: Callable[[], bool]) -> bool:
    """Wait until a client gets metadata; give up at `deadline` (monotonic), or when `alive` says no."""
    while time.monotonic() < deadline and alive():
        if await answers(bootstrap_servers):
            return True
        await asyncio.sleep(POLL_S)
    return False


async def _listens(server: str) -> bool:
    host, _, port = server.strip().rpartition(":")
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, ValueError, TimeoutError):
        return False
    writer.close()
    return True
