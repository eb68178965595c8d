"""`trigger`, with an ingress that answers as it is told."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli.main import main

KEY = "the-key-that-must-not-show"


@contextlib.contextmanager
def answering(status, *, times=10**9, came=None):
    """Have an address that answers `status`, so many times; then every connection ends without a word."""
    left = iter(range(times))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            if next(left, None) is None:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()
            if came and next(left) > 4:  # the first answers have arrived
                came.set()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def trigger(monkeypatch, tmp_path, capsys):
    """Run `trigger …`; return its exit code, what it printed and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", KEY)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["trigger", *arguments])
        return ended.value.code, *capsys.readouterr()

    return run


def test_a_mistyped_type_is_one_sentence_with_what_may_be_meant(trigger):
    code, printed, said = trigger("patient.admitted")

    assert (code, printed, said.count("\n")) == (2, "", 1)
    assert "Did you mean patient.admit?" in said


def test_a_path_that_the_sample_has_not_is_answered_with_those_it_has(trigger):
    code, printed, said = trigger("patient.admit", "--set", "patients.0.patientId=p-9", "--print")

    assert (code, printed, said.count("\n")) == (2, "", 1)
    assert "Did you mean payload.patientId?" in said
    assert "meta.messageId" in said


@pytest.mark.parametrize("change", ["meta=5", "payload=5", "meta.type=5", "payload.patientId={}"])
def test_any_value_may_be_set_where_there_is_a_path(trigger, change):
    code, printed, _ = trigger("patient.admit", "--set", change, "--links", "http://127.0.0.1:9", "--print")

    assert code == 0
    assert json.loads(printed)


def test_the_list_is_json_for_programs(trigger):
    code, printed, _ = trigger("list", "--json")

    assert code == 0
    assert "patient.admit" in json.loads(printed)


@pytest.mark.parametrize("option", ["--url", "--links"])
def test_what_is_no_address_is_a_matter_of_usage(trigger, option):
    code, _, said = trigger("ping", option, "nowhere")

    assert (code, said.count("\n")) == (2, 1)
    assert option in said


def test_a_refused_signature_says_which_key_was_used_and_not_its_value(trigger):
    with answering(401) as url:
        code, printed, said = trigger("patient.admit", "--url", url)

    assert code == 1
    assert "1 x 401" in printed
    assert "key 1 of 1 in METRIPORT_WEBHOOK_KEYS" in said
    assert KEY not in printed + said


def test_how_many_were_accepted_is_said_when_the_ingress_goes_away(trigger):
    with answering(200, times=40) as url:
        code, printed, said = trigger("patient.admit", "--url", url, "--count", "500", "--json")

    assert code == 3
    assert json.loads(printed)["accepted"] == 40
    assert "40 of 500 were accepted" in said
    assert said.count("\n") == 1


def test_who_ends_it_half_way_is_told_how_many_were_accepted():
    came = threading.Event()
    with answering(200, came=came) as url:
        command = [sys.executable, "-m", "cli", "trigger", "ping", "--url", url, "--count", "9999", "--rate", "20"]
        environment = os.environ | {"METRIPORT_WEBHOOK_KEYS": KEY}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            came.wait(60)
            running.send_signal(signal.SIGINT)
            printed, said = running.communicate(timeout=60)

    assert (running.returncode, said) == (130, b"")
    assert b" x 200" in printed


def test_a_folder_that_cannot_be_written_to_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setenv("METRIPORT_WEBHOOK_KEYS", KEY)
    monkeypatch.chdir("/proc/self/fd")  # nobody can write there, root included

    with pytest.raises(SystemExit) as ended:
        main(["run"])

    said = capsys.readouterr().err
    assert (ended.value.code, said.count("\n")) == (2, 1)
    assert said.startswith("var: ")
