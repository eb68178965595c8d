"""`fhir check`: what is read, and how it is told."""

import json

from typer.testing import CliRunner

from cli import fhir_check
from cli.commands.fhir import app
from streams.bundles.validation.build import Standards
from tests.unit.bundles.stage import judges, observation

BOM = b"\xef\xbb\xbf"


def checked(path):
    return fhir_check.check([path], judges(), judges().checker(Standards()))


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


def test_what_is_printed_says_how_often_a_problem_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr("cli.commands.fhir.judges", judges)
    bad = [json.dumps({**observation(1), "bogus": number}) for number in range(99)]
    (tmp_path / "bad.ndjson").write_text("\n".join(bad))

    result = CliRunner().invoke(app, ["check", str(tmp_path / "bad.ndjson")])

    assert result.exit_code == 1
    assert len(result.output.splitlines()) < 12
    assert "99" in result.output
