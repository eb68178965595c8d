"""`metriport-streams fhir`: what the bundles stage makes of files."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import typer

from cli import fhir_check, output
from cli.commands import removals
from cli.output import Json
from models.errors import Misconfigured
from streams.bundles.validation.build import Standards, validators

app = typer.Typer(help="Check FHIR resources in files, and decide about removals that are held.", no_args_is_help=True)
app.add_typer(removals.app, name="removals")

STDIN = Path("-")
STDIN_NAME = "standard input"
NOTHING_OF_IT = 2

_COLUMNS = ("file", "resource", "type", "verdict", "code", "expression", "text")
_SHORT_COLUMNS = ("expression", "text", "times", "verdict", "code", "type", "file", "resource")
_DATA_COLUMNS = ("id", "data")


@app.callback()
def _group() -> None:
    """Check FHIR resources in files, and decide about removals that are held."""


@app.command()
def check(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Files or folders with bundles, single resources, or one resource in each line; - is standard input.",
        ),
    ],
    *,
    level: Annotated[
        Literal["structure", "lint"],
        typer.Option(help="How closely to look: lint also warns of what FHIR allows and is likely a mistake."),
    ] = "structure",
    with_data: Annotated[bool, typer.Option(help="Show ids and values, too. They are patients' data.")] = False,
    as_json: Json = False,
) -> None:
    """Say which FHIR 4.0.1 resources the service would accept, which not, where and why.

    Exit code 1 if any would be rejected, 2 if nothing here is FHIR.
    """
    tools = validators()
    with _on_disk(paths) as files:
        report = fhir_check.check(files, tools, tools.validator(Standards(level=level)), with_data=with_data)
    _print(report, with_data=with_data, as_json=as_json)
    if not report.holds_fhir:
        looked_at = f"{report.files} files looked at" if report.files else "no .json, .ndjson or .jsonl file there"
        output.fail(f"Nothing here is FHIR: {looked_at}.")
        raise typer.Exit(NOTHING_OF_IT)
    raise typer.Exit(0 if report.is_fine else 1)


@contextmanager
def _on_disk(paths: list[Path]) -> Iterator[list[Path]]:
    """Have standard input as a file, if it is meant: a file is read twice. Only its owner can read it."""
    with TemporaryDirectory(prefix="metriport-streams-") as folder:
        stdin = Path(folder, STDIN_NAME)
        if STDIN in paths:
            if sys.stdin.isatty():
                output.say("Reading standard input, up to Ctrl-D.")
            with stdin.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        for path in paths:
            if path != STDIN and not path.exists():
                raise Misconfigured(f"{path}: there is no such file.")
        yield [stdin if path == STDIN else path for path in paths]


def _print(report: fhir_check.Report, *, with_data: bool, as_json: bool) -> None:
    columns = (*_COLUMNS, *_DATA_COLUMNS) if with_data else _COLUMNS
    problems = [problem._asdict() for problem in report.problems]
    counts = [
        {"type": name, "verdict": verdict, "resources": count, "why": report.why(verdict)}
        for (name, verdict), count in sorted(report.verdicts.items())
    ]
    if as_json:
        rows = [{name: problem[name] for name in columns} for problem in problems]
        output.print_json({"files": report.files, "resources": counts, "problems": rows})
        return
    if counts:
        output.print_rows(("type", "verdict", "resources", "why"), counts, as_json=False)
    # Data is shown for each resource; without it, a hundred problems alike are one line.
    if with_data and problems:
        output.print_rows(columns, problems, as_json=False)
    elif problems:
        rows = [{**first._asdict(), "times": times} for first, times in fhir_check.grouped(report.problems)]
        output.print_rows(_SHORT_COLUMNS, rows, as_json=False)
    if not counts and report.holds_fhir:
        output.say("There is no resource in it.")
