"""`metriport-streams ingress` and `worker`: the service's own processes."""

import asyncio
import signal
import sys
from typing import Annotated

import typer

from cli import local, near, output, resuming
from cli.topics import check
from models import telemetry
from models.errors import Misconfigured
from models.settings import CatalogueSettings, KafkaSettings, load, renamed
from models.stages import STAGES
from streams import supervisor
from streams.preparing import prepare
from streams.settings import of_stages


def ingress() -> None:
    """Receive webhooks and keep them, until SIGTERM."""
    from ingress.__main__ import main  # noqa: PLC0415 - the worker need not load it

    sys.exit(main())


def worker(
    stages: Annotated[
        list[str] | None,
        typer.Argument(metavar="STAGE", help=f"Stages to run: {', '.join(STAGES)}; every one if left out."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="STAGE",
            help="Let a stage that paused itself after a change of version go on with it, and end; runs none.",
        ),
    ] = None,
) -> None:
    """Run every stage, or the named ones, one process each; ends with all of them on SIGTERM."""
    # Until the supervisor listens there is nothing to end in order.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    chosen = tuple(stages or STAGES) if resume is None else (resume,)
    if unknown := set(chosen) - set(STAGES):
        meant = near.question(min(unknown), STAGES)
        raise Misconfigured(f"There is no stage {min(unknown)!r}.{meant} There are: {', '.join(STAGES)}.")
    if resume is not None:
        _resume(resume, beside=stages)
        return
    settings = of_stages(chosen)
    for each in settings:
        prepare(each)
    telemetry.configure(level=settings[0].log_level, style=settings[0].log_format)
    telemetry.take_crashes()
    for sentence in renamed():
        telemetry.SETTING_RENAMED(sentence=sentence)
    if trouble := asyncio.run(check.trouble(load(CatalogueSettings))):
        output.fail(trouble)
        raise typer.Exit(1)
    addresses = {
        stage: f"{each.worker_host}:{port}"
        for stage, each in zip(chosen, settings, strict=True)
        if (port := each.port(stage, alone=len(chosen) == 1))
    }
    supervised = supervisor.supervise(chosen, stop_timeout_s=settings[0].stop_timeout_s, addresses=addresses)
    sys.exit(asyncio.run(supervised))


def _resume(stage: str, *, beside: list[str] | None) -> None:
    if beside:
        raise Misconfigured("--resume runs no stage: leave the others out.")
    asyncio.run(resuming.resume(load(KafkaSettings, **local.overrides()), stage))
    output.say(f"Told in `audit`. If {stage} is paused, it goes on within seconds; /ready says so.")
