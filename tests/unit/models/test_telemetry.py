"""What every part of the service tells goes through these few lines."""

import io
import os
import subprocess
import sys

import pytest
import structlog
from prometheus_client import CollectorRegistry, Counter

from models import telemetry


class _Closed(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("kind", ["gone", "closed"])
def test_an_event_is_counted_when_nobody_reads_the_log_any_more(kind, monkeypatch):
    log = _Closed() if kind == "gone" else io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    telemetry.configure(level="debug", style="json")
    if kind == "closed":
        log.close()
    counted = Counter("told", "Told.", registry=CollectorRegistry())

    telemetry.Event("told", "error", counted, fields=("bytes",))(bytes=1)

    structlog.reset_defaults()
    assert counted.collect()[0].samples[0].value == 1


def test_each_set_of_labels_is_counted_by_itself():
    counted = Counter("told", "Told.", ("stage", "type"), registry=CollectorRegistry())
    event = telemetry.Event("told", "debug", counted, labels=("stage", "type"))

    for kind in ("a", "b", "a"):
        event(stage="links", type=kind)

    found = {
        sample.labels["type"]: sample.value for sample in counted.collect()[0].samples if "created" not in sample.name
    }
    assert found == {"a": 2, "b": 1}


def test_a_fact_that_is_not_declared_is_refused():
    with pytest.raises(TypeError, match=r"told does not carry \['name'\]"):
        telemetry.Event("told", "debug")(name="x")


def test_what_strangers_can_cause_is_counted_each_time_and_logged_a_few_times_a_second(monkeypatch):
    log, clock = io.StringIO(), [100.0]
    monkeypatch.setattr(sys, "stderr", log)
    monkeypatch.setattr(telemetry.time, "monotonic", lambda: clock[0])
    telemetry.configure(level="debug", style="json")
    counted = Counter("told", "Told.", registry=CollectorRegistry())
    event = telemetry.Event("told", "warning", counted, lines_per_s_max=3)

    for clock[0] in (100.0, 100.5, 101.0):
        for _ in range(5):
            event()

    structlog.reset_defaults()
    assert counted.collect()[0].samples[0].value == 15
    assert log.getvalue().count("told") == 6


@pytest.mark.skipif(not hasattr(os, "pipe2"), reason="only Linux tells writes to a pipe apart")
@pytest.mark.parametrize("style", ["json", "text"])
def test_a_line_of_the_log_is_one_write(style):
    program = f"""
import logging
from models import telemetry
telemetry.configure(level="debug", style="{style}")
telemetry.STOPPED()
telemetry.STOPPING(reason="signal")
logging.getLogger("library").warning("something")
"""
    reader, writer = os.pipe2(os.O_DIRECT)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with os.fdopen(writer, "wb") as end:
        subprocess.run([sys.executable, "-c", program], stderr=end, check=True, env=environment)
    writes = []
    while written := os.read(reader, 4096):
        writes.append(written)
    os.close(reader)

    assert len(writes) == 3
    assert all(written.endswith(b"\n") for written in writes)
