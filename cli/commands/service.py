"""`metriport-streams ingress` and `worker`: the service's own processes."""

import asyncio
import signal
import sys
from typing import Annotated

import typer

from cli import output
from cli.topics import check
from models import telemetry, topics
from models.errors import Misconfigured
from models.settings import WorkerSettings, load
from streams import supervisor


def ingress() -> None:
    """Receive webhooks and keep them, until SIGTERM."""
    from ingress.__main__ import main  # noqa: PLC0415 - the worker need not load it

    sys.exit(main())


def worker(
    stages: Annotated[list[str] | None, typer.Argument(metavar="[STAGE]...", help=", ".join(topics.STAGES))] = None,
) -> None:
    """Run every stage, or the named ones, one process each; ends with all of them on SIGTERM."""
    # Until the supervisor listens there is nothing to end in order.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    chosen = tuple(stages or topics.STAGES)
    if unknown := set(chosen) - set(topics.STAGES):
        raise Misconfigured(f"There is no stage {min(unknown)!r}. There are: {', '.join(topics.STAGES)}.")
    settings = load(WorkerSettings)
    telemetry.configure(level=settings.log_level, style=settings.log_format)
    if trouble := asyncio.run(check.trouble(settings)):
        output.fail(trouble)
        raise typer.Exit(1)
    sys.exit(asyncio.run(supervisor.supervise(chosen, stop_timeout_s=settings.stop_timeout_s)))
