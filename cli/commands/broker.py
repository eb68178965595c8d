"""`metriport-streams broker`: a Kafka for people who have none."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli import broker, output
from cli.output import Json

DATA_DIR = Path("var/broker")

DataDir = Annotated[Path, typer.Option(help="Folder in which this Kafka keeps its data.", file_okay=False)]

app = typer.Typer(help="Run a Kafka of one node on this machine, for trying out and for tests.", no_args_is_help=True)


@app.command()
def start(
    data_dir: DataDir = DATA_DIR,
    port: Annotated[
        int | None, typer.Option(help="Port on 127.0.0.1; a free one if left out.", min=1, max=65535)
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Start a Kafka in the background, and print its address; the same if it runs already."""
    started = asyncio.run(broker.start(data_dir, port=port, tied=False, say=output.say))
    if as_json:
        output.print_json({"bootstrap_servers": started.bootstrap_servers, "pid": started.pid})
    else:
        output.print_line(f"KAFKA_BOOTSTRAP_SERVERS={started.bootstrap_servers}")


@app.command()
def stop(data_dir: DataDir = DATA_DIR, *, as_json: Json = False) -> None:
    """End the Kafka that `broker start` started; its data stays."""
    found = asyncio.run(broker.stop(data_dir))
    if as_json:
        output.print_json({"stopped": found})
    else:
        output.print_line("Stopped." if found else "There was none running.")


@app.command()
def status(data_dir: DataDir = DATA_DIR, *, as_json: Json = False) -> None:
    """Say whether the Kafka of `broker start` runs: exit code 0 if it does, 1 if there is none, 3 if it is silent."""
    found = asyncio.run(broker.status(data_dir))
    if as_json:
        output.print_json(
            {
                "state": found.state,
                "bootstrap_servers": found.bootstrap_servers,
                "pid": found.pid,
            }
        )
    else:
        output.print_line(SENTENCES[found.state].format(pid=found.pid, servers=found.bootstrap_servers))
    raise typer.Exit({"running": 0, "silent": 3, "starting": 3}.get(found.state, 1))


SENTENCES = {
    "running": "Running at {servers} (process {pid}).",
    "starting": "Starting.",
    "stopped": "Not running.",
    "killed": "Not running: the last one (process {pid}) was killed. Its data is kept; the next start checks it.",
    "silent": "Process {pid} lives and does not answer at {servers}.",
}
