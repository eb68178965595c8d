import io
import json
import sys
from types import SimpleNamespace

import pytest

from cli.main import main
from models import signature

BODY = b'{"meta": {}}'
NEW, OLD = b"wh-key_new_0123456789", b"wh-key_old_0123456789"


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """Run a command with BODY on standard input and two keys; return its exit code and what it printed as JSON."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", f"{NEW.decode()},{OLD.decode()}")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(BODY), isatty=lambda: False))

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--json"])
        return ended.value.code, json.loads(capsys.readouterr().out or "null")

    return run


def test_a_body_is_signed_by_the_first_key(command):
    assert command("sign") == (0, {signature.HEADER: signature.sign(BODY, key=NEW)})


@pytest.mark.parametrize(("key", "code", "number"), [(NEW, 0, 1), (OLD, 0, 2), (b"other", 1, None)])
def test_the_key_that_signed_a_body_is_found_by_its_place(command, key, code, number):
    found = command("verify", "-", signature.sign(BODY, key=key))

    assert found == (code, {"valid": number is not None, "key": number})


def test_without_keys_nothing_is_signed(command, monkeypatch):
    monkeypatch.delenv("METRIPORT_WEBHOOK_KEYS")

    assert command("sign") == (2, None)


def test_a_file_that_is_not_there_is_a_matter_of_usage(command):
    assert command("sign", "nowhere.json") == (2, None)
