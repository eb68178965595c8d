"""The operator's command: `metriport-streams`. Exit codes: 0 fine, 1 found a problem, 2 usage, 3 unreachable."""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from cli import examples, output
from cli.broker import BrokerError
from cli.commands import (
    broker,
    bulk,
    demo,
    doctor,
    drift,
    fhir,
    links,
    patient,
    quarantine,
    replay,
    service,
    signatures,
    spool,
    tail,
    topics,
    trigger,
)
from models import privacy
from models.build import VERSION
from models.errors import Misconfigured

USAGE = 2


def _print_version(asked: bool) -> None:  # noqa: FBT001 - what the library calls it with
    if asked:
        output.print_line(f"metriport-streams {VERSION}")
        raise typer.Exit


app = typer.Typer(
    name="metriport-streams",
    no_args_is_help=True,
    # A pretty traceback shows the values of variables: patients' data.
    pretty_exceptions_enable=False,
)
app.add_typer(broker.app, name="broker")
app.add_typer(topics.app, name="topics")
app.add_typer(patient.app, name="patient")
app.add_typer(bulk.app, name="bulk")
app.add_typer(fhir.app, name="fhir")
app.add_typer(spool.app, name="spool")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(replay.app, name="replay")
app.add_typer(drift.app, name="drift")
app.command("sign")(signatures.sign)
app.command("verify")(signatures.verify)
app.command("trigger")(trigger.trigger)
app.command("linkserver")(links.serve)
app.command("ingress")(service.ingress)
app.command("worker")(service.worker)
app.command("tail")(tail.tail)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.command("run")(demo.run)
examples.add(app)


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end."),
    ] = False,
) -> None:
    """Receive Metriport's webhooks, keep them, and give every other team Kafka topics it can trust.

    Exit codes: 0 fine, 1 found a problem, 2 usage, 3 unreachable.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code; a trouble that has a name is one line, not a traceback."""
    privacy.begin()
    # A client that looks for its broker tells each try as an error; the commands say themselves what came of it.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        app(arguments)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokerError as problem:
        output.fail(str(problem))
        sys.exit(problem.exit_code)
    except Misconfigured as problem:
        output.fail(str(problem))
        sys.exit(USAGE)
    except OSError as problem:
        # A folder that is read-only, a disk that is full, a file where a folder should be: named, it can be mended.
        if problem.filename is None:
            raise
        output.fail(f"{os.fsdecode(problem.filename)}: {problem.strerror}.")
        sys.exit(USAGE)
