"""`fhir check`: what is read, and how it is told."""

import io
import json
import sys
from types import SimpleNamespace

import pytest
from rich.text import Text
from typer.testing import CliRunner

from cli import fhir_check
from cli.commands.fhir import app
from cli.main import main
from streams.bundles.validation.build import Standards
from tests.unit.bundles.stage import observation, validators

BOM = b"\xef\xbb\xbf"


def checked(path):
    return fhir_check.check([path], validators(), validators().validator(Standards()))


def test_a_single_resource_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "one.json").write_bytes(BOM + json.dumps(observation(1)).encode())

    assert checked(tmp_path / "one.json").verdicts == {("Observation", "accepted"): 1}


def test_resources_line_by_line_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "two.ndjson").write_bytes(BOM + b"\n".join(json.dumps(observation(one)).encode() for one in (1, 2)))

    assert checked(tmp_path / "two.ndjson").verdicts == {("Observation", "accepted"): 2}


def test_problems_that_differ_in_the_resource_and_in_positions_only_are_one(tmp_path):
    bad = [observation(1, note=[{"text": "x"}] * number + [{"text": number}]) for number in range(99)]
    (tmp_path / "bad.ndjson").write_text("\n".join(map(json.dumps, bad)))

    grouped = fhir_check.grouped(checked(tmp_path / "bad.ndjson").problems)

    assert [times for _, times in grouped] == [99]


@pytest.fixture
def check(monkeypatch, capsys):
    """Run `fhir check …` with this on standard input; return its exit code, what it printed and what it said."""
    monkeypatch.setattr("cli.commands.fhir.validators", validators)

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin), isatty=lambda: False))
        with pytest.raises(SystemExit) as ended:
            main(["fhir", "check", *map(str, arguments)])
        return ended.value.code, *capsys.readouterr()

    return run


GOOD = json.dumps(observation(1)).encode()
BAD = json.dumps(observation(1, bogus=1, note="x")).encode()


@pytest.mark.parametrize(
    ("stdin", "resources"),
    [
        (GOOD, 1),
        (GOOD + b"\n" + GOOD + b"\n", 2),
        (b'{"resourceType":"Bundle",\n"entry":[{"resource":' + GOOD + b"}]}", 1),
    ],
)
def test_standard_input_may_be_a_resource_a_bundle_or_lines(check, stdin, resources):
    code, printed, _ = check("-", "--json", stdin=stdin)

    assert code == 0
    assert [row["resources"] for row in json.loads(printed)["resources"]] == [resources]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "The file is empty."),
        (b"hello", "This is not JSON."),
        (b'{"a": 1}', "A resource says its type."),
        (b'{"resourceType": "Nonsense"}', "FHIR 4.0.1 has no such resource."),
        (b"[]", "A resource is an object."),
    ],
)
def test_where_nothing_is_fhir_that_is_said_and_why(check, content, why):
    code, printed, said = check("-", stdin=content)

    assert code == 2
    assert why in printed
    assert said.startswith("Nothing here is FHIR")


def test_a_folder_without_files_to_look_at_is_nothing_of_fhir(check, tmp_path):
    code, printed, said = check(tmp_path)

    assert (code, printed) == (2, "")
    assert ".ndjson" in said


def test_a_bundle_without_resources_is_fhir(check):
    assert check("-", stdin=b'{"resourceType": "Bundle", "entry": []}') == (0, "", "There is no resource in it.\n")


def test_a_file_that_is_not_there_is_one_sentence(check):
    assert check("nowhere.json") == (2, "", "nowhere.json: there is no such file.\n")


def test_why_a_resource_is_not_checked_is_told(check):
    code, printed, _ = check("-", "--json", stdin=b'{"resourceType": "EvidenceVariable"}')

    [row] = json.loads(printed)["resources"]
    assert (code, row["verdict"]) == (0, "unchecked")
    assert "later versions dropped" in row["why"]


def test_an_unknown_element_is_named_and_the_expected_type_told(check):
    code, printed, _ = check("-", stdin=BAD)

    assert code == 1
    assert "Observation.bogus\tFHIR 4.0.1 does not have this element here." in printed
    assert "Observation.note\tA list is expected. Expected: Annotation." in printed


def test_problems_alike_in_several_files_are_one_line_with_their_number(check, tmp_path):
    for number in range(9):
        (tmp_path / f"{number}.json").write_bytes(BAD)

    _, printed, _ = check(tmp_path)

    assert len(printed.splitlines()) == 3
    assert "Observation.bogus\tFHIR 4.0.1 does not have this element here.\t9\t" in printed


def test_at_a_terminal_of_80_columns_where_and_what_is_wrong_are_whole(check, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")

    _, printed, _ = check("-", stdin=BAD)

    lines = [Text.from_ansi(line).plain for line in printed.splitlines()]
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("Observation.bogus ") for line in lines)


def test_what_is_printed_says_how_often_a_problem_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr("cli.commands.fhir.validators", validators)
    bad = [json.dumps({**observation(1), "bogus": number}) for number in range(99)]
    (tmp_path / "bad.ndjson").write_text("\n".join(bad))

    result = CliRunner().invoke(app, ["check", str(tmp_path / "bad.ndjson")])

    assert result.exit_code == 1
    assert len(result.output.splitlines()) < 12
    assert "99" in result.output
