"""What keeps a process from working is said by the command, before anything is started."""

import os
import subprocess
import sys

import pytest

GOOD = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "METRIPORT_WEBHOOK_KEYS": "wh-key_0123456789", "WORKER_PORT": "0"}


@pytest.fixture
def command(tmp_path):
    """Run `metriport-streams ...` in an empty folder; return exit code, output and what it said on standard error."""

    def run(*arguments, **settings):
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            env=os.environ | GOOD | settings,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("VALUE_BYTES_MAX", "300", "VALUE_BYTES_MAX: must be greater than or equal to 1024.\n"),
        ("FHIR_LEVEL", "x", "FHIR_LEVEL: must be 'off', 'structure' or 'lint'.\n"),
        ("FHIR_LEVEL_BY_TYPE", "x", "FHIR_LEVEL_BY_TYPE: must be JSON.\n"),
        ("FETCH_CONCURRENCY", "0", "FETCH_CONCURRENCY: must be greater than or equal to 1.\n"),
        ("STATE_DIR", "/dev/null", "STATE_DIR: /dev/null cannot be used as a folder: it is a file.\n"),
        ("BLOB_STORE_URL", "az://x", "BLOB_STORE_URL cannot be used: Account must be specified.\n"),
    ],
)
def test_a_wrong_setting_of_one_stage_ends_the_worker_before_any_stage_starts(command, name, value, said):
    assert command("worker", **{name: value}) == (2, "", said)


def test_what_is_wrong_for_several_stages_is_said_once(command):
    code, _, said = command("worker", TOPIC_PARTITIONS="0", FHIR_LEVEL="x")

    assert code == 2
    assert said.count("TOPIC_PARTITIONS") == said.count("FHIR_LEVEL") == 1


def test_a_stage_is_not_asked_for_the_settings_of_another(command):
    assert command("worker", "deliveries", FHIR_LEVEL="x", FETCH_CONCURRENCY="0")[0] == 3


def test_an_old_name_of_a_setting_is_told_in_the_log(command):
    code, _, said = command("worker", "deliveries", FETCH_BYTES_MAX="100000", LOG_FORMAT="json")

    assert code == 3
    assert said.count('"event": "setting_renamed"') == 1
    assert "FETCH_BYTES_MAX is KAFKA_FETCH_BYTES_MAX now" in said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SPOOL_DIR", "/dev/null", "ingress: SPOOL_DIR: /dev/null cannot be used as a folder: it is a file.\n"),
        ("INGRESS_HOST", "a..b", "ingress: INGRESS_HOST: there is no address of the name 'a..b'.\n"),
    ],
)
def test_a_wrong_setting_of_the_ingress_ends_it_before_it_serves(command, name, value, said):
    assert command("ingress", **{name: value}) == (2, "", said)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--resume", "delivries"), 2, "Did you mean deliveries?"),
        (("links", "--resume", "deliveries"), 2, "--resume runs no stage"),
        (("--resume", "deliveries"), 3, "No Kafka took the audit record"),
    ],
)
def test_a_stage_that_cannot_be_told_to_go_on_is_said(command, arguments, code, said):
    ended, printed, found = command("worker", *arguments)

    assert (ended, printed) == (code, "")
    assert said in found
