"""What the commands print: tables for people, JSON for programs, plain lines when nobody watches.

What came with a delivery reaches a terminal only as characters that show: others could move its cursor, rename its
window, or make one line look like two.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.table import Table
from rich.text import Text

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def one_line(text: str) -> str:
    """Return `text` with everything that does not show, line ends included, as JSON writes it."""
    return text if text.isprintable() else "".join(_shown(character) for character in text)


def lines(text: str) -> str:
    """Return `text` of several lines, each as `one_line` has it."""
    return "\n".join(one_line(line) for line in text.split("\n"))


def say(line: str) -> None:
    """Tell a person what is going on, on standard error: standard output is for results."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(lines(line)))


def fail(line: str) -> None:
    """Tell a person what went wrong."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(lines(line), style="red"))


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """Print one value as one line of JSON."""
    # Outside of texts, JSON of one line holds nothing that does not show; within them, this is JSON's own way.
    sys.stdout.write(one_line(json.dumps(value, ensure_ascii=False)) + "\n")


def print_document(value: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """Print one value as JSON over several lines, for a person."""
    text = Text(lines(json.dumps(value, ensure_ascii=False, indent=2)))
    JSONHighlighter().highlight(text)
    Console(soft_wrap=True).print(text)


def print_line(line: str) -> None:
    """Print one line of a result, or several."""
    Console(highlight=False, soft_wrap=True).print(Text(lines(line)))


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
    return "" if value is None else one_line(str(value))


def _shown(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]
