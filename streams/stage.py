"""One stage as a process of its own: `python -m streams.stage deliveries`."""

import os
import signal
import sys
import threading
import time
from importlib import import_module
from typing import Any

import uvloop

from models import privacy, telemetry, topics
from models.errors import Misconfigured
from models.settings import WorkerSettings, load
from streams import health
from streams.engine.app import Worker, run

USAGE = 2


def build(stage: str, settings: WorkerSettings) -> Worker:
    """Return a stage by its name, ready to run on uvloop; call it before there is another loop."""
    privacy.keep(settings.state_dir)
    # Before, not when it runs: Faust's parts take the loop they find as they are made, and keep it.
    uvloop.install()
    worker: Worker = import_module(f"streams.{stage}.stage").worker(settings)
    return worker


def faust_app(stage: str) -> Any:  # noqa: ANN401 - Faust has no types
    """Return a stage as the Faust app that `faust -A streams.<stage> worker` runs."""
    privacy.begin()
    settings = load(WorkerSettings)
    telemetry.configure(level=settings.log_level, style=settings.log_format)
    return build(stage, settings).app


def main(stage: str, parent: str | None = None) -> None:
    """Run one stage until SIGTERM, or until process `parent` is gone; exit 2 if the settings are wrong."""
    privacy.begin()
    try:
        settings = load(WorkerSettings)
    except Misconfigured as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(USAGE)
    telemetry.configure(level=settings.log_level, style=settings.log_format)
    try:
        worker = build(stage, settings)
    except Misconfigured as problem:  # in the settings that only this stage has, or in the files they name
        sys.stderr.write(f"{problem}\n")
        sys.exit(USAGE)
    if settings.worker_port:
        health.serve(worker, host=settings.worker_host, port=settings.worker_port + topics.STAGES.index(stage))
    if parent is not None:
        _end_with(int(parent))
    run(worker)


def _end_with(parent: int) -> None:
    """Stop when process `parent` is gone: a supervisor that was killed leaves no workers behind."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
