"""What the commands print: tables for people, JSON for programs, plain lines when nobody watches."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def say(line: str) -> None:
    """Tell a person what is going on, on standard error: standard output is for results."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(line))


def fail(line: str) -> None:
    """Tell a person what went wrong."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(line, style="red"))


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """Print one value as one line of JSON."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def print_line(line: str) -> None:
    """Print one line of a result."""
    Console(highlight=False, soft_wrap=True).print(Text(line))


def print_rows(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print rows: as a list in JSON, as a table on a terminal, else with tabs between, for `cut` and `awk`."""
    if as_json:
        print_json([dict(row) for row in rows])
    elif sys.stdout.isatty():
        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*(Text(_cell(row.get(column))) for column in columns))
        Console().print(table)
    else:
        for row in rows:
            sys.stdout.write("\t".join(_cell(row.get(column)) for column in columns) + "\n")


def _cell(value: object) -> str:
    return "" if value is None else str(value)
