"""`metriport-streams bulk`: what has come of one bulk patient create."""

import asyncio
from contextlib import aclosing
from typing import Annotated, Any

import typer

from cli import local, output
from cli.output import Json
from cli.records import records
from models import exact, topics
from models.settings import KafkaSettings

COLUMNS = ("row", "status", "patientId", "reason")

app = typer.Typer(help="Show what has come of one bulk patient create.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Show what has come of one bulk patient create."""


@app.command()
def show(
    request_id: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="The requestId that Metriport answered.")],
    *,
    rows: Annotated[
        bool, typer.Option("--rows", help="Show each row, too, with its patient id and reason: patients' data.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show how far a bulk create is, and its rows by status; exit code 1 if nothing is known of the id."""
    found, by_row = asyncio.run(_known(local.load(KafkaSettings), request_id.strip(), rows=rows))
    if found is None:
        output.fail("Nothing is known of this id.")
        raise typer.Exit(1)
    shown = [{name: by_row[row].get(name) for name in COLUMNS} for row in sorted(by_row)]
    if as_json:
        output.print_json(found | ({"rows": shown} if rows else {}))
        return
    output.print_document(found)
    if rows:
        output.print_rows(COLUMNS, shown, as_json=False)


async def _known(
    settings: KafkaSettings, request_id: str, *, rows: bool
) -> tuple[dict[str, Any] | None, dict[int, dict[str, Any]]]:
    """Return the newest state of the job, None if there is none, and its rows by their numbers if asked for."""
    jobs, results = (settings.topic_prefix + topic for topic in (topics.BULK_JOBS, topics.BULK_PATIENTS))
    owner, state, by_row = request_id.encode(), None, dict[int, dict[str, Any]]()
    names = [jobs, results] if rows else [jobs]
    async with aclosing(records(settings, names, partition_of=owner)) as found:
        async for record in found:
            if record.key != owner or record.value is None:
                continue
            value = exact.loads(record.value)
            if record.topic == jobs:
                state = value
            else:
                by_row[value["row"]] = value
    return state, by_row
