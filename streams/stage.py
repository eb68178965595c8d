"""One stage as a process of its own: `python -m streams.stage deliveries`."""

import asyncio
import os
import signal
import sys
import threading
import time
from pkgutil import resolve_name
from typing import Any

import uvloop

from models import privacy, report, telemetry
from models.errors import Misconfigured
from models.settings import renamed
from models.stages import STAGES
from streams import health, settings
from streams.engine.app import Stage, run
from streams.preparing import prepare
from streams.settings import StageSettings

USAGE = 2

_LOOK_S = 0.2


def build(stage: str, found: StageSettings) -> Stage:
    """Return a stage by its name, ready to run on uvloop; call it before there is another loop."""
    prepare(found)
    # Before, not when it runs: Faust's parts take the loop they find as they are made, and keep it.
    uvloop.install()
    built: Stage = resolve_name(STAGES[stage].build)(found)
    return built


def faust_app(stage: str) -> Any:  # noqa: ANN401 - Faust has no types
    """Return a stage as the Faust app that `faust -A streams.<stage> worker` runs."""
    privacy.begin()
    found = settings.of_stage(stage)
    telemetry.configure(level=found.log_level, style=found.log_format)
    for sentence in renamed():
        telemetry.SETTING_RENAMED(sentence=sentence)
    return build(stage, found).app


def main(stage: str, parent: str | None = None, *beside: str) -> None:
    """Run one stage until SIGTERM, or until process `parent` is gone; exit 2 if the settings are wrong.

    `beside` are the stages that the same worker runs beside it.
    """
    privacy.begin()
    try:
        found = settings.of_stage(stage)
        telemetry.configure(level=found.log_level, style=found.log_format)
        telemetry.take_crashes()
        built = build(stage, found)
    except Misconfigured as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(USAGE)
    if port := found.port(stage, alone=not beside):
        health.serve(built, host=found.worker_host, port=port)
    _tell_when_ready(built)
    if parent is not None:
        _end_with(int(parent))
    run(built)


def _tell_when_ready(stage: Stage) -> None:
    async def tell() -> None:
        while not stage.health().ready:  # noqa: ASYNC110 - it becomes so in several ways
            await asyncio.sleep(_LOOK_S)
        report.tell(stage.settings.stage, "ready")

    stage.driver.at_start(tell)


def _end_with(parent: int) -> None:
    """Stop when process `parent` is gone: a supervisor that was killed leaves no workers behind."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
