"""`metriport-streams spool`: damaged spools that were set aside, until a person has dealt with them."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli import local, output, salvaging
from cli.output import Json
from ingress import set_aside, spool_lock
from ingress.set_aside import InUse, SetAside
from ingress.settings import SpoolFolderSettings, SpoolSettings
from ingress.spool_file import FILE_NAME
from models import telemetry
from models.errors import Misconfigured
from models.settings import load

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Names of damaged spools, as `spool list` shows them; every one if left out."),
]

COLUMNS = ("name", "state", "bytes", "moved", "missing")

app = typer.Typer(help="Deal with damaged spools that were set aside.", no_args_is_help=True)


@app.command(name="list")
def list_spools(*, as_json: Json = False) -> None:
    """Show each damaged spool: how many of its deliveries went on to Kafka, and how many are known to be missing."""
    settings = load(SpoolFolderSettings)
    rows = [_row(one) for one in set_aside.every(settings.spool_dir)]
    output.print_rows(COLUMNS, rows, as_json=as_json)
    if not as_json:
        if not rows:
            output.say(f"Nothing is set aside in {settings.spool_dir}.")
        if spool_lock.is_in_use(settings.spool_dir):
            output.say("The spool itself is in use by a running ingress, which drains it.")


@app.command()
def salvage(names: Names = None, *, as_json: Json = False) -> None:
    """Send what can be read of damaged spools to Kafka, in order and not twice; exit code 1 if something is missing."""
    settings = local.load(SpoolSettings)
    telemetry.configure(level="warning", style=settings.log_format)
    told = []
    for one in _chosen(settings, names):
        sent = _salvaged(one, settings)
        one.change(dealt_with=True)
        told.append(_row(one) | {"sent": sent})
        if not as_json:
            output.print_line(_sentence(one, sent))
    if as_json:
        output.print_json(told)
    elif not told:
        output.say(f"Nothing is set aside in {settings.spool_dir}.")
    raise typer.Exit(1 if any(row["missing"] for row in told) else 0)


@app.command()
def drop(
    names: Names = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Remove damaged spools from the disk, for good; asks first."""
    chosen = _chosen(load(SpoolFolderSettings), names)
    for one in chosen:
        if not yes and not _agreed(one):
            raise typer.Exit(1)
        with _alone(one):
            one.drop()
        if not as_json:
            output.print_line(f"Removed {one.name}.")
    if as_json:
        output.print_json({"dropped": [one.name for one in chosen]})


def _chosen(settings: SpoolFolderSettings, names: list[str] | None) -> list[SetAside]:
    found = {one.name: one for one in set_aside.every(settings.spool_dir)}
    for name in names or ():
        if name == FILE_NAME:
            raise Misconfigured(f"{FILE_NAME} is not set aside: it is the spool itself, which the ingress drains.")
        if name not in found:
            raise Misconfigured(f"No spool {name!r} is set aside in {settings.spool_dir}.")
    return [found[name] for name in names] if names else list(found.values())


def _salvaged(one: SetAside, settings: SpoolSettings) -> int:
    if one.note.read_to_end:
        return 0
    with _alone(one):
        return asyncio.run(salvaging.salvage(one, settings))


@contextlib.contextmanager
def _alone(one: SetAside) -> Iterator[None]:
    try:
        yield
    except InUse:
        output.fail(f"{one.name} is being read by an ingress or another command right now; try again later.")
        raise typer.Exit(1) from None


def _row(one: SetAside) -> dict[str, Any]:
    note = one.note
    state = "dealt with" if note.dealt_with else "salvaged" if note.read_to_end else "waiting"
    return {"name": one.name, "state": state, "bytes": one.bytes, "moved": note.moved, "missing": note.missing}


def _sentence(one: SetAside, sent: int) -> str:
    note = one.note
    before = f", {note.moved - sent} were moved before" if note.moved > sent else ""
    missing = f"; {note.missing} between them are nowhere, have Metriport send those of that time again"
    return f"{one.name}: {sent} sent{before}{missing if note.missing else ''}."


def _agreed(one: SetAside) -> bool:
    if not sys.stdin.isatty():
        raise Misconfigured("Say --yes: what is removed here is gone for good.")
    warning = "" if one.note.read_to_end else " Not all of it was moved to Kafka: `spool salvage` does that."
    return typer.confirm(f"Remove {one.name}, {one.bytes} bytes, for good?{warning}")
