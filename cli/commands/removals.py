"""`metriport-streams fhir removals`: what the bundles stage holds because so much would vanish, and a way to decide."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from cli import local, output, removals
from cli.output import Json
from cli.removals import Action, Filter, Waiting
from models.settings import KafkaSettings

app = typer.Typer(
    help="Decide about removals of FHIR resources that are held, because so much would be gone at once.",
    no_args_is_help=True,
)

COLUMNS = ("patient_id", "snapshot_id", "resource_type", "resources")

Patient = Annotated[
    str | None, typer.Option("--patient", metavar="ID", help="Only resources of the patient with this id.")
]
Type = Annotated[str | None, typer.Option("--type", help="Only resources of this type.")]
Snapshot = Annotated[
    str | None, typer.Option("--snapshot", metavar="ID", help="Only what was missing from the snapshot with this id.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this, only show what would be done.")]


@app.command(name="list")
def list_removals(
    *, patient: Patient = None, resource_type: Type = None, snapshot: Snapshot = None, as_json: Json = False
) -> None:
    """Show which removals are held, by patient, snapshot and resource type."""
    _show(_waiting(local.load(KafkaSettings), Filter(patient, resource_type, snapshot)), as_json=as_json)


@app.command()
def apply(
    *,
    patient: Patient = None,
    resource_type: Type = None,
    snapshot: Snapshot = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Have the resources removed whose removal is held; exit code 1 if no such removal is held."""
    _decide("apply", Filter(patient, resource_type, snapshot), yes=yes, as_json=as_json)


@app.command()
def discard(
    *,
    patient: Patient = None,
    resource_type: Type = None,
    snapshot: Snapshot = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Have the resources stay whose removal is held: they count as not missing. Exit code 1 if none is held."""
    _decide("discard", Filter(patient, resource_type, snapshot), yes=yes, as_json=as_json)


def _waiting(settings: KafkaSettings, wanted: Filter) -> list[Waiting]:
    return asyncio.run(removals.waiting(settings, wanted))


def _decide(action: Action, wanted: Filter, *, yes: bool, as_json: bool) -> None:
    settings = local.load(KafkaSettings)
    chosen = _waiting(settings, wanted)
    if yes and chosen:
        asyncio.run(removals.decide(settings, action, chosen))
    _show(chosen, as_json=as_json)
    if chosen and not as_json:
        count = sum(one.resources for one in chosen)
        done = {"apply": "will be removed", "discard": "stay, and are not missing"}[action]
        output.say(f"{count} resources {done}." if yes else f"{count} resources: with --yes, they {done}.")
    raise typer.Exit(0 if chosen else 1)


def _show(found: Sequence[Waiting], *, as_json: bool) -> None:
    rows = [{name: asdict(one)[name] for name in COLUMNS} for one in found]
    output.print_rows(COLUMNS, rows, as_json=as_json)
    if not found and not as_json:
        output.say("Nothing is held.")
