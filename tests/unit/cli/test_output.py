import json

import pytest

from cli import output
from cli.commands import tail

HOSTILE = 'p-1\x1b]0;title\x07\x9b31m\r\nsecond line\t\x7f\u202e\u2028"\\'
RECORD_HEADERS = [("ce_type", f"patient.admit{HOSTILE}".encode()), ("ce_id", b"m-1/0"), ("x-message-id", b"m-1")]


class Record:
    topic, partition, offset, timestamp, headers = "webhooks", 0, 1, 0, RECORD_HEADERS
    key, value = HOSTILE.encode(), f"{{{HOSTILE}}}".encode()


def shows(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


PRINTS = {
    "a line": lambda: output.print_line(f"key {HOSTILE}"),
    "rows": lambda: output.print_rows(("a",), [{"a": HOSTILE}], as_json=False),
    "JSON": lambda: output.print_json({HOSTILE: [HOSTILE]}),
    "a document": lambda: output.print_document({HOSTILE: [HOSTILE, "\ud83d"]}),
    "what is said": lambda: output.say(HOSTILE),
    "a failure": lambda: output.fail(HOSTILE),
    "a record": lambda: output.print_line(tail._line(tail._facts(Record(), values=True), HOSTILE)),
}


@pytest.mark.parametrize("name", PRINTS)
def test_nothing_that_moves_a_terminal_is_printed(name, capsys):
    PRINTS[name]()

    printed = capsys.readouterr()
    assert shows(printed.out + printed.err)
    assert "second line" in printed.out + printed.err


def test_what_is_escaped_in_json_is_read_back_as_it_was(capsys):
    output.print_json({HOSTILE: [HOSTILE, "\ud83d", "é"]})

    assert json.loads(capsys.readouterr().out) == {HOSTILE: [HOSTILE, "\ud83d", "é"]}


def test_a_record_is_one_line_and_its_value_another():
    assert tail._line(tail._facts(Record(), values=False)).count("\n") == 0
    assert tail._line(tail._facts(Record(), values=True), HOSTILE).count("\n") == 1


def test_no_id_is_shown_unless_asked_for():
    facts = tail._facts(Record(), values=False)

    assert "p-1" not in str(facts)
    assert "m-1" not in str(facts)
    assert facts["key"] == tail._facts(Record(), values=False)["key"]


def test_ids_are_shown_when_asked_for():
    facts = tail._facts(Record(), values=True)

    assert (facts["key"], facts["headers"]["x-message-id"]) == (HOSTILE, "m-1")


def test_a_key_that_was_asked_for_is_no_secret():
    assert tail._facts(Record(), values=False, known={HOSTILE})["key"] == HOSTILE
