"""`metriport-streams patient`: what is known of one patient."""

import asyncio
import json
from contextlib import aclosing
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.json import JSON

from cli import output
from cli.output import Json
from cli.records import records
from models import topics
from models.settings import KafkaSettings, load

app = typer.Typer(help="What is known of one patient.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Show what is known of one patient."""


@app.command()
def show(
    patient_id: Annotated[str, typer.Argument(metavar="ID", help="Metriport's patient id.")], *, as_json: Json = False
) -> None:
    """Show a patient's state, which is patient data; exit code 1 if nothing is known of this id."""
    state = asyncio.run(_newest(load(KafkaSettings), patient_id))
    if state is None:
        output.fail("Nothing is known of this id.")
        raise typer.Exit(1)
    if as_json:
        output.print_json(state)
    else:
        Console().print(JSON.from_data(state))


async def _newest(settings: KafkaSettings, patient_id: str) -> dict[str, Any] | None:
    key, newest = patient_id.encode(), None
    topic = settings.topic_prefix + topics.PATIENTS
    async with aclosing(records(settings, [topic], from_start=True, follow=False, partition_of=key)) as found:
        async for record in found:
            if record.key == key:
                newest = record.value
    return json.loads(newest) if newest else None
