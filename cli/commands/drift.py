"""`metriport-streams drift`: what differs from what is known of Metriport's messages."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from cli import drift, local, output
from cli.drift import Row
from cli.output import Json
from models.settings import KafkaSettings

app = typer.Typer(help="See and accept differences from what is known of Metriport's messages.", no_args_is_help=True)

COLUMNS = ("type", "path", "kind", "count", "partitions", "first_seen", "last_seen", "message_id")

Type = Annotated[str | None, typer.Option("--type", metavar="TYPE", help="Only differences in messages of this type.")]


@app.command(name="list")
def list_differences(
    *,
    message_type: Type = None,
    accepted: Annotated[bool, typer.Option("--accepted", help="Show what was accepted, too.")] = False,
    as_json: Json = False,
) -> None:
    """Show what differs and was not accepted, added up over partitions; no values.

    A count is behind what came by less than nine tenths: it is told at 1, 10, 100 and so on, of each partition.
    """
    found = asyncio.run(drift.rows(local.load(KafkaSettings)))
    shown = [row for row in found if message_type in {None, row.type} and (accepted or not row.accepted)]
    _show(shown, (*COLUMNS, "accepted") if accepted else COLUMNS, as_json=as_json)
    if not shown and not as_json:
        output.say("Nothing differs from what is known.")


@app.command()
def accept(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH", help="Path of the difference, such as `payload.newField`, as `drift list` shows it."
        ),
    ],
    *,
    message_type: Type = None,
    as_json: Json = False,
) -> None:
    """Accept what differs at a path now, so that neither list nor alert tell of it; exit code 1 if nothing does.

    It is told in `audit`. Another kind of difference at the same path is told as new.
    """
    settings = local.load(KafkaSettings)
    chosen = [
        row
        for row in asyncio.run(drift.rows(settings))
        if row.path == path and message_type in {None, row.type} and not row.accepted
    ]
    if chosen:
        asyncio.run(drift.accept(settings, chosen))
    _show(chosen, COLUMNS, as_json=as_json)
    if not as_json:
        output.say(f"{len(chosen)} accepted." if chosen else "Nothing differs there that was not accepted.")
    raise typer.Exit(0 if chosen else 1)


def _show(rows: Sequence[Row], columns: Sequence[str], *, as_json: bool) -> None:
    output.print_rows(columns, [{name: asdict(row)[name] for name in columns} for row in rows], as_json=as_json)
