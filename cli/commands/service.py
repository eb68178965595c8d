"""`metriport-streams ingress` and `worker`: the service's own processes."""

import asyncio
import sys
from typing import Annotated

import typer

from cli.broker.errors import Unreachable
from cli.broker.readiness import somebody_listens
from models import telemetry, topics
from models.errors import Misconfigured
from models.settings import WorkerSettings, load
from streams import supervisor

UNREACHABLE_AFTER_TRIES = 3


def ingress() -> None:
    """Receive webhooks and keep them, until SIGTERM."""
    from ingress.__main__ import main  # noqa: PLC0415 - the worker need not load it

    sys.exit(main())


def worker(
    stages: Annotated[list[str] | None, typer.Argument(metavar="[STAGE]...", help=", ".join(topics.STAGES))] = None,
) -> None:
    """Run every stage, or the named ones, one process each; ends with all of them on SIGTERM."""
    chosen = tuple(stages or topics.STAGES)
    if unknown := set(chosen) - set(topics.STAGES):
        raise Misconfigured(f"There is no stage {min(unknown)!r}. There are: {', '.join(topics.STAGES)}.")
    settings = load(WorkerSettings)
    telemetry.configure(level=settings.log_level, style=settings.log_format)
    if not asyncio.run(_reached(settings.kafka_bootstrap_servers)):
        raise Unreachable(f"No Kafka answers at {settings.kafka_bootstrap_servers}.")
    sys.exit(asyncio.run(supervisor.supervise(chosen, stop_timeout_s=settings.stop_timeout_s)))


async def _reached(servers: str) -> bool:
    for _ in range(UNREACHABLE_AFTER_TRIES):
        if await somebody_listens(servers):
            return True
        await asyncio.sleep(1)
    return False
