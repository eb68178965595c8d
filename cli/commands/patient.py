"""`metriport-streams patient`: what is known of one patient."""

import asyncio
import json
from contextlib import aclosing
from typing import Annotated, Any

import typer

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
    """Show a patient's state and requests, which is patient data; exit code 1 if nothing is known of this id."""
    state = asyncio.run(_known(load(KafkaSettings), patient_id))
    if state is None:
        output.fail("Nothing is known of this id.")
        raise typer.Exit(1)
    if as_json:
        output.print_json(state)
    else:
        output.print_document(state)


async def _known(settings: KafkaSettings, patient_id: str) -> dict[str, Any] | None:
    """Return the newest state, with the states of the patient's requests by their ids."""
    patients, requests = (settings.topic_prefix + topic for topic in (topics.PATIENTS, topics.REQUESTS))
    owner, state, asked = patient_id.encode(), None, dict[str, Any]()
    found = records(settings, [patients, requests], partition_of=owner)
    async with aclosing(found):
        async for record in found:
            if record.topic == patients and record.key == owner:
                state = json.loads(record.value) if record.value else None
            elif record.topic == requests and record.value and (record.key or b"").startswith(owner + b"/"):
                request = json.loads(record.value)
                # An id may hold a slash, so the beginning of the key does not tell whose it is.
                if request["patientId"] == patient_id:
                    asked[request["requestId"]] = request
    return None if state is None else state | {"requests": asked}
