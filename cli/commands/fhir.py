"""`metriport-streams fhir`: the bundles stage's verdicts, on files."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import fhir_check, output
from cli.commands import removals
from cli.output import Json
from streams.bundles.validation.build import Standards, judges

app = typer.Typer(help="FHIR resources, as the bundles stage sees them.", no_args_is_help=True)
app.add_typer(removals.app, name="removals")

_COLUMNS = ("file", "resource", "type", "verdict", "code", "expression", "text")
_DATA_COLUMNS = ("id", "data")


@app.callback()
def _group() -> None:
    """FHIR resources, as the bundles stage sees them."""


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders: bundles, resources, NDJSON.", exists=True)],
    *,
    level: Annotated[Literal["structure", "lint"], typer.Option(help="How closely to look.")] = "structure",
    with_data: Annotated[bool, typer.Option(help="Show ids and values, too: patients' data.")] = False,
    as_json: Json = False,
) -> None:
    """Say what passes, what does not, where and why: exit code 1 if anything was rejected."""
    tools = judges()
    report = fhir_check.check(paths, tools, tools.checker(Standards(level=level)), with_data=with_data)
    problems = [problem._asdict() for problem in report.problems]
    columns = (*_COLUMNS, *_DATA_COLUMNS) if with_data else _COLUMNS
    counts = [
        {"type": name, "verdict": verdict, "resources": count}
        for (name, verdict), count in sorted(report.verdicts.items())
    ]
    if as_json:
        rows = [{name: problem[name] for name in columns} for problem in problems]
        output.print_json({"files": report.files, "resources": counts, "problems": rows})
    else:
        output.print_rows(("type", "verdict", "resources"), counts, as_json=False)
        # Data is shown for each resource; without it, a hundred problems alike are one line.
        if with_data:
            output.print_rows(columns, problems, as_json=False)
        else:
            rows = [{**first._asdict(), "times": times} for first, times in fhir_check.grouped(report.problems)]
            output.print_rows((*columns, "times"), rows, as_json=False)
    raise typer.Exit(0 if report.is_fine else 1)
