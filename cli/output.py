"""What the commands print: tables for people, JSON for programs, plain lines when nobody watches.

What came with a delivery reaches a terminal only as characters that show: others could move its cursor, rename its
window, or make one line look like two.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.table import Table
from rich.text import Text

GAP = 2  # between two columns of a table
FOLDED_FROM = 24  # a column wider than this is folded where there is no room

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs, instead of text for people.")]


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
    print_json_text(json.dumps(value, ensure_ascii=False))


def print_json_text(text: str) -> None:
    """Print what is JSON of one line already."""
    # Outside of texts it holds nothing that does not show; within them, this is JSON's own way.
    sys.stdout.write(one_line(text) + "\n")


def print_document(value: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """Print one value as JSON over several lines, for a person."""
    text = Text(lines(json.dumps(value, ensure_ascii=False, indent=2)))
    JSONHighlighter().highlight(text)
    Console(soft_wrap=True).print(text)


def print_line(line: str) -> None:
    """Print one line of a result, or several."""
    Console(highlight=False, soft_wrap=True).print(Text(lines(line)))


def print_rows(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print rows: as a list in JSON, as a table on a terminal, else with tabs between, for `cut` and `awk`.

    On a terminal nothing is cut: long cells are folded, and columns that have no room are left out, the last first.
    """
    if as_json:
        print_json([dict(row) for row in rows])
    elif sys.stdout.isatty():
        _print_table(columns, [[_cell(row.get(column)) for column in columns] for row in rows])
    else:
        for row in rows:
            sys.stdout.write("\t".join(_cell(row.get(column)) for column in columns) + "\n")


def _print_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    console = Console()
    # A column without a single word says nothing, but for the first, and when there are no rows at all.
    spoken = [number for number in range(len(columns)) if not number or not cells or any(row[number] for row in cells)]
    widths = {
        number: max(cell_len(text) for text in (columns[number], *(row[number] for row in cells))) for number in spoken
    }
    shown = fitting([widths[number] for number in spoken], console.width)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for place in range(shown):
        # Only what is as wide as a sentence is folded; a name is found by looking for it, so it stays whole.
        is_short = widths[spoken[place]] <= FOLDED_FROM or place == 0
        least = min(widths[spoken[place]], console.width) if is_short else FOLDED_FROM
        table.add_column(Text(columns[spoken[place]]), overflow="fold", min_width=least)
    for row in cells:
        table.add_row(*(Text(row[number]) for number in spoken[:shown]))
    console.print(table)
    if left_out := [columns[number] for number in spoken[shown:]]:
        say(f"Left out, as the window is narrow: {', '.join(left_out)}. With --json, or piped, they are there.")


def fitting(widths: Sequence[int], room: int) -> int:
    """Return how many columns of these widths fit, the first in any case, if sentences are folded."""
    used = min(widths[0], room)
    for number, width in enumerate(widths[1:], start=1):
        used += GAP + min(width, FOLDED_FROM)
        if used > room:
            return number
    return len(widths)


def _cell(value: object) -> str:
    return "" if value is None else one_line(str(value))


def _shown(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]
