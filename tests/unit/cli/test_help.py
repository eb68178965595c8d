"""What `--help` says: every command, argument and option alone, with command lines that work."""

import re
import shlex

import pytest
from rich.text import Text
from typer.main import get_command

from cli.examples import EXAMPLES, NAME
from cli.main import app, main
from models.build import VERSION


def leaves(command, *path):
    if hasattr(command, "commands"):
        for name, below in command.commands.items():
            yield from leaves(below, *path, name)
    else:
        yield " ".join(path), command


COMMANDS = dict(leaves(get_command(app)))
# What is about the command before it, or about nothing in particular, means nothing alone.
LEANS = re.compile(r"^(It|This|That|They|Each|Them|Its|As|On|Of|What|Only this)\b")


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    return ended.value.code, *capsys.readouterr()


def test_every_command_has_examples_and_every_example_a_command():
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize(("path", "line"), [(path, line) for path, lines in EXAMPLES.items() for line in lines])
def test_an_example_is_a_command_line_that_is_understood(path, line):
    words = shlex.split(line.partition(" < ")[0])[len(path.split()) :]

    context = COMMANDS[path].make_context(path, words)

    assert not context.args


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_says_what_it_does_and_what_each_part_is_for(path):
    command = COMMANDS[path]
    says = [command.help, *(parameter.help for parameter in command.params if parameter.name != "help")]

    assert all(says)
    assert [text for text in says if len(text.split()) < 3 or LEANS.match(text)] == []


@pytest.mark.parametrize("path", COMMANDS)
def test_at_80_columns_the_examples_are_whole(path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    code, printed, _ = run(capsys, *path.split(), "--help")

    lines = [Text.from_ansi(line).plain.strip() for line in printed.splitlines()]
    assert code == 0
    assert [line for line in EXAMPLES[path] if f"{NAME} {line}" not in lines] == []


def test_the_version_is_that_of_the_package(capsys):
    assert run(capsys, "--version") == (0, f"metriport-streams {VERSION}\n", "")
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", VERSION)


def test_a_shell_can_complete_commands(capsys, monkeypatch):
    monkeypatch.setenv("_METRIPORT_STREAMS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "metriport-streams top")
    monkeypatch.setenv("COMP_CWORD", "1")

    with pytest.raises(SystemExit) as ended:
        app([], prog_name=NAME)

    assert (ended.value.code, capsys.readouterr().out.strip()) == (0, "topics")


@pytest.mark.parametrize("path", COMMANDS)
def test_the_help_fills_the_lines_and_the_usage_has_no_bracket_twice(path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    _, printed, _ = run(capsys, *path.split(), "--help")

    assert not re.search("[^\n]\n[^\n]", COMMANDS[path].help)
    assert not re.search(r"\[\[|\{\[|\.\.\.[\]}]\.\.\.", printed)
