"""Tables at a terminal of 80 columns, and piped."""

import re

import pytest
from rich.text import Text

from cli import output

NAME = "metriport.medical.document-bulk-download-urls"
ROW = {
    "topic": NAME,
    "partitions": 12,
    "nothing": "",
    "kept": "30 d",
    "value": "links to all of a patient's documents " * 3,
}
COLUMNS = tuple(ROW)


@pytest.fixture
def terminal(monkeypatch):
    """Make standard output a terminal, of so many columns."""

    def make(columns):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))

    return make


@pytest.mark.parametrize("columns", [80, 60])
def test_a_name_is_whole_however_narrow_the_window(terminal, capsys, columns):
    terminal(columns)

    output.print_rows(COLUMNS, [ROW], as_json=False)

    printed, said = capsys.readouterr()
    assert NAME in printed
    assert "…" not in printed
    assert max(len(Text.from_ansi(line)) for line in printed.splitlines()) <= columns
    assert re.search("Left out, as the window is narrow: .*value", said)


def test_what_is_long_is_folded_where_there_is_room(terminal, capsys):
    terminal(120)

    output.print_rows(COLUMNS, [ROW], as_json=False)

    printed, said = capsys.readouterr()
    assert said == ""
    assert printed.split().count("documents") == 3


def test_a_column_in_which_nothing_is_said_takes_no_room(terminal, capsys):
    terminal(80)

    output.print_rows(COLUMNS, [ROW], as_json=False)

    assert "nothing" not in capsys.readouterr().out


def test_a_name_wider_than_the_window_is_folded_and_not_cut(terminal, capsys):
    terminal(30)

    output.print_rows(COLUMNS, [ROW], as_json=False)

    printed = capsys.readouterr().out
    assert NAME in "".join(printed.split())


def test_piped_every_column_is_there(capsys):
    output.print_rows(COLUMNS, [ROW], as_json=False)

    assert capsys.readouterr().out.split("\t")[:4] == [NAME, "12", "", "30 d"]
