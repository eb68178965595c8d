"""What every command has in common: mistakes are one sentence and exit code 2, an absent Kafka is one and 3."""

import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from cli.main import app, main
from tests.unit.cli.test_help import leaves

COMMANDS = dict(leaves(get_command(app)))
TIME_LIMIT_S = 60
ITS_OWN_PROCESS = {"worker", "topics"}  # these change how signals and loops work in theirs
NOWHERE = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "METRIPORT_WEBHOOK_KEYS": "the-key-of-a-test",
    "INGRESS_PORT": "1",
    "WORKER_PORT": "2",
    "COLUMNS": "80",
}
# With what each needs to come as far as Kafka, or the ingress.
ASKING = {
    "trigger": ["ping"],
    "worker": [],
    "tail": [],
    "doctor": [],
    "topics apply": [],
    "topics list": [],
    "topics accept": [],
    "patient show": ["p-1"],
    "bulk show": ["r-1"],
    "replay plan": ["webhooks"],
    "drift list": [],
    "drift accept": ["payload.field"],
    "quarantine list": [],
    "quarantine show": [],
    "quarantine release": ["--all"],
    "quarantine drop": ["--all", "--because", "a test"],
    "fhir removals list": [],
    "fhir removals apply": [],
    "fhir removals discard": ["--yes"],
}
# Need neither; or start a Kafka; or serve without one (the ingress keeps deliveries in its spool).
ALONE = {
    "sign", "verify", "linkserver", "ingress", "demo", "run", "broker start", "broker stop", "broker status",
    "fhir check", "replay apply", "spool list", "spool salvage", "spool drop",
}  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder; return its exit code, what it printed and what it said."""
    here = str(Path.cwd())
    monkeypatch.chdir(tmp_path)

    def run(*arguments, **environment):
        told = {**NOWHERE, **environment}
        if arguments[0] in ITS_OWN_PROCESS:
            ended = subprocess.run(
                [sys.executable, "-m", "cli", *arguments],
                env={**os.environ, "PYTHONPATH": here, **told},
                capture_output=True,
                timeout=TIME_LIMIT_S,
                check=False,
                text=True,
            )
            return ended.returncode, ended.stdout, ended.stderr
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return ended.value.code, *capsys.readouterr()

    return run


def test_every_command_is_looked_at_here():
    assert ASKING.keys() | ALONE == COMMANDS.keys()


@pytest.mark.parametrize("path", ASKING)
def test_without_a_kafka_a_command_says_so_in_one_sentence_and_ends(run, path):
    code, printed, said = run(*path.split(), *ASKING[path])

    lines = (printed if path == "doctor" else said).splitlines()
    assert code == 3
    assert len(lines) == 1 or path == "doctor"
    assert any("127.0.0.1:1" in line for line in lines + said.splitlines())
    assert "Traceback" not in printed + said


@pytest.mark.parametrize("path", [path for path in ASKING if path not in {"trigger", "doctor"}])
def test_without_the_address_of_a_kafka_a_command_says_what_to_set(run, path):
    code, printed, said = run(*path.split(), *ASKING[path], KAFKA_BOOTSTRAP_SERVERS="")

    assert (code, printed) == (2, "")
    assert said.count("\n") == 1
    assert "KAFKA_BOOTSTRAP_SERVERS" in said


@pytest.mark.parametrize(
    "path", [path for path in ASKING if path not in {"trigger", "doctor", "worker", "topics apply"}]
)
def test_a_command_looks_for_the_kafka_of_its_folder_where_none_is_named(run, path):
    _, _, said = run(*path.split(), *ASKING[path], KAFKA_BOOTSTRAP_SERVERS="")

    assert "no Kafka of `metriport-streams run` runs in this folder" in said


TOO_MANY = [
    *((path, ["--no-such-option"]) for path in COMMANDS),
    *(
        (path, ["odd"] * 9)
        for path, command in COMMANDS.items()
        if not any(part.nargs == -1 for part in command.params)
    ),
]


@pytest.mark.parametrize(("path", "words"), TOO_MANY)
def test_an_option_or_argument_too_many_is_a_matter_of_usage(path, words, capsys):
    with pytest.raises(SystemExit) as ended:
        app([*path.split(), *words])

    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


MISTAKES = {
    "worker deliverys": (2, "Did you mean deliveries?"),
    "sign": (2, "standard input is empty"),
    "verify - sha": (2, "standard input is empty"),
    "verify nowhere.json 00": (2, "nowhere.json"),
    "fhir check -": (2, "Nothing here is FHIR"),
    "spool salvage zzz": (2, "'zzz'"),
    "spool drop zzz --yes": (2, "'zzz'"),
    "tail --since yesterday": (2, "how long ago"),
    "patient show": (2, "Missing argument"),
    "bulk": (2, ""),
    "topics accept webhooks/x": (2, "webhooks/3"),
    "topics accept webhook/3": (2, "Did you mean webhooks?"),
    "linkserver --port 99999999": (2, "--port"),
    "broker start --port 0": (2, "--port"),
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_said_with_what_to_do_and_its_exit_code(run, line):
    code, printed, said = run(*line.split())

    assert (code, "Traceback" in said) == (MISTAKES[line][0], False)
    assert MISTAKES[line][1] in printed + said


def test_a_port_that_somebody_has_is_one_sentence(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        code, printed, said = run("linkserver", "--port", port)

    assert (code, printed, said.count("\n")) == (1, "", 1)
    assert port in said
