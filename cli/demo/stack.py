"""Broker, topics, ingress and worker, started in order and ended in order."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli import broker, processes
from cli.broker import ports


@dataclass(frozen=True)
class Stack:
    """A running service."""

    bootstrap_servers: str
    ingress_url: str
    environment: Mapping[str, str]


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    *,
    kafka: str | None,
    port: int | None,
    settings: Mapping[str, str],
    log: Path,
    say: Callable[[str], None],
) -> AsyncIterator[Stack]:
    """Run the service with its data in `folder`, on the `kafka` given or one of its own."""
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(broker.running(folder / "broker", given=kafka, say=say))
        port = port or ports.free(1)[0]
        # On a broker of our own one replica is all there can be.
        own = {} if kafka else {"TOPIC_REPLICATION": "1"}
        environment = {
            **own,
            **settings,
            "KAFKA_BOOTSTRAP_SERVERS": node.bootstrap_servers,
            "INGRESS_PORT": str(port),
        }
        await processes.run("topics", "apply", "--mend", environment=environment, log=log)
        url = f"http://127.0.0.1:{port}"
        say(f"Starting the ingress at {url} and the worker ...")
        await stack.enter_async_context(processes.child("worker", environment=environment, log=log))
        ingress = await stack.enter_async_context(processes.child("ingress", environment=environment, log=log))
        await processes.wait_until_ready(f"{url}/ready", ingress, log)
        yield Stack(node.bootstrap_servers, url, environment)
