"""`metriport-streams patient`: what is known of one patient."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli import local, moments, output
from cli.output import Json
from cli.past_state import SOURCES, PastState
from cli.records import Stretch, records
from models import exact, headers, topics
from models.settings import KafkaSettings

app = typer.Typer(help="Show what is known of one patient.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Show what is known of one patient."""


@app.command()
def show(
    patient_id: Annotated[str, typer.Argument(metavar="ID", help="Metriport's patient id.")],
    *,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Show what was known then: a time with its zone, 2026-01-31T12:00Z, or so long ago, 2h, 7d.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a patient's state and requests, which is patients' data; exit code 1 if nothing is known of the id.

    With --at, the state is made anew, by the code of today, from what `webhooks`, `documents`, `bundles` and
    `fhir.snapshots` had received before that time.
    """
    settings, owner = local.load(KafkaSettings), patient_id.strip()
    if at is None:
        state = asyncio.run(_known(settings, owner))
    else:
        state = asyncio.run(_known_at(settings, owner, moments.moment(at, now=datetime.now(UTC))))
    if state is None:
        output.fail("Nothing is known of this id." if at is None else "Nothing was known of this id by then.")
        raise typer.Exit(1)
    if as_json:
        output.print_json(state)
    else:
        output.print_document(state)


async def _known(settings: KafkaSettings, patient_id: str) -> dict[str, Any] | None:
    """Return the newest state, with the states of the patient's requests by their ids."""
    patients, requests = (settings.topic_prefix + topic for topic in (topics.PATIENTS, topics.REQUESTS))
    owner, state, asked = patient_id.encode(), None, dict[str, Any]()
    async with aclosing(records(settings, [patients, requests], partition_of=owner)) as found:
        async for record in found:
            if record.topic == patients and record.key == owner:
                state = exact.loads(record.value) if record.value else None
            elif record.topic == requests and record.value and (record.key or b"").startswith(owner + b"/"):
                request = exact.loads(record.value)
                # An id may hold a slash, so the beginning of the key does not tell whose it is.
                if request["patientId"] == patient_id:
                    asked[request["requestId"]] = request
    return None if state is None else state | {"requests": asked}


async def _known_at(settings: KafkaSettings, patient_id: str, at: datetime) -> dict[str, Any] | None:
    """Return the state as of a time, and how it was made."""
    names = [settings.topic_prefix + topic for topic in SOURCES]
    stretch = Stretch(from_start=True, until_ms=moments.milliseconds(at))
    past = PastState(settings.topic_prefix, patient_id)
    async with aclosing(records(settings, names, stretch, partition_of=patient_id.encode())) as found:
        async for record in found:
            past.take(record)
    if past.patient is None:
        return None
    told = {"at": headers.timestamp(at), "records": past.records, "unreadable": past.unreadable}
    output.say(
        f"As of {told['at']}, made anew from {past.records} records that Kafka had by then; "
        f"{past.unreadable} of them cannot be read, and count for nothing."
    )
    return past.patient | {"requests": past.requests, "asOf": told}
