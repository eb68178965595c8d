"""What a process says of itself reaches the one that started it, and nobody else."""

import json
import os

from models import report


def test_what_is_told_is_one_line_in_the_pipe_that_was_handed_on(monkeypatch):
    reading, writing = os.pipe()
    monkeypatch.setenv(report.VARIABLE, str(writing))

    report.tell("bundles", "ended", code=70)

    assert json.loads(os.read(reading, 1000)) == {"process": "bundles", "state": "ended", "code": 70}
    assert report.handed() == (writing,)
    os.close(reading)
    os.close(writing)


def test_without_a_listener_nothing_is_told(monkeypatch):
    monkeypatch.delenv(report.VARIABLE, raising=False)

    report.tell("bundles", "ready")

    assert report.handed() == ()


def test_a_listener_that_is_gone_ends_nobody(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setenv(report.VARIABLE, str(writing))

    report.tell("bundles", "ready")

    os.close(writing)
