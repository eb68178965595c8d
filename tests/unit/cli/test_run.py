"""`run` says "Ready" for its own processes only, by their own word."""

import asyncio
import os
import socket
import sys

import pytest

from cli import local, processes
from cli.broker import ports, record
from cli.broker.errors import PortTaken, StartFailed
from cli.demo.stack import Stack, plan
from cli.processes import Gone, Report, Reports
from ingress.settings import IngressSettings
from models.errors import Misconfigured
from models.settings import CatalogueSettings
from models.stages import STAGES

EVERYBODY = ("ingress", *STAGES)
SETTINGS = {"METRIPORT_WEBHOOK_KEYS": "wh-key_0123456789", "INGRESS_PORT": "0", "WORKER_PORT": "0"}


class Told:
    """Stands for `Reports`: tells what it was given, then nothing more."""

    def __init__(self, *reports):
        self.left = list(reports)

    async def next(self, *, timeout_s=None):  # noqa: ARG002
        assert self.left, "it waits for more"
        return self.left.pop(0)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "TOPIC_REPLICATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stack(folder):
    """Make a service that is being started, of which this is told."""
    planned = plan(folder, settings=SETTINGS, kafka_port=9)
    planned.log.write_text("what it said\n")
    return lambda *reports: Stack(planned, "127.0.0.1:9", Told(*reports))


def ready(*names):
    return [Report(name, "ready") for name in names]


async def test_it_is_ready_when_the_ingress_and_every_stage_said_so(stack):
    await stack(*ready(*EVERYBODY)).become_ready(print)


@pytest.mark.parametrize("missing", EVERYBODY)
async def test_it_is_not_ready_while_one_has_not_said_so(stack, missing):
    with pytest.raises(AssertionError, match="it waits for more"):
        await stack(*ready(*(name for name in EVERYBODY if name != missing))).become_ready(print)


async def test_a_stage_that_ended_must_say_it_again(stack):
    said = [*ready("bundles"), Report("bundles", "ended", 70), *ready("ingress", "links", "deliveries", "patients")]

    with pytest.raises(AssertionError, match="it waits for more"):
        await stack(*said).become_ready(print)


async def test_a_stage_that_ends_again_and_again_is_not_waited_for(stack):
    with pytest.raises(StartFailed, match="bundles does not become ready: what it said"):
        await stack(*ready("ingress"), *[Report("bundles", "ended", 1)] * 3).become_ready(print)


@pytest.mark.parametrize(("code", "own"), [(2, 2), (1, 1), (-9, 1)])
async def test_when_a_process_is_gone_the_code_for_wrong_settings_goes_up(stack, code, own):
    with pytest.raises(Gone, match=f"The worker ended \\(exit code {code}\\): what it said") as caught:
        await stack(Report("worker", "gone", code)).become_ready(print)

    assert caught.value.exit_code == own


async def test_a_stage_that_starts_again_later_is_told(stack):
    lines = []

    with pytest.raises(Gone):
        await stack(
            Report("links", "ended", 70),
            Report("links", "ready"),
            Report("ingress", "ready"),
            Report("worker", "gone", 1),
        ).watch(lines.append)

    assert lines == [
        "links ended (exit code 70) and is started again; the log says why.",
        "links is ready again.",
    ]


async def test_children_and_theirs_report_to_who_started_them_and_their_end_is_seen():
    grandchild = "from models import report; report.tell('links', 'ready')"
    code = (
        "import subprocess, sys; from models import report;"
        f"subprocess.run([sys.executable, '-c', {grandchild!r}], pass_fds=report.handed(), check=True); sys.exit(3)"
    )
    async with Reports() as reports:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            env=os.environ | {"METRIPORT_STREAMS_REPORT_FD": str(reports.writing)},
            pass_fds=(reports.writing,),
        )
        reports.watch("worker", process)

        assert {await reports.next(), await reports.next()} == {Report("links", "ready"), Report("worker", "gone", 3)}
        assert await reports.next(timeout_s=0.01) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("VALUE_BYTES_MAX", "300"), ("FETCH_CONCURRENCY", "0"), ("SPOOL_DIR", "/dev/null"), ("STATE_DIR", "/dev/null")],
)
def test_a_wrong_setting_of_any_process_is_said_before_anything_starts(folder, name, value):
    with pytest.raises(Misconfigured, match=name):
        plan(folder, settings=SETTINGS | {name: value}, kafka_port=9)


def test_a_port_that_somebody_else_listens_on_is_said_before_anything_starts(folder):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])

        with pytest.raises(PortTaken, match=f"Port {taken} is taken, perhaps by another ingress"):
            plan(folder, settings=SETTINGS | {"INGRESS_PORT": taken}, kafka_port=9)


def test_a_kafka_of_our_own_holds_one_copy_of_each_topic(folder):
    planned = plan(folder, settings=SETTINGS, kafka_port=9)

    assert planned.environment["TOPIC_REPLICATION"] == "1"
    assert planned.kafka is None


def test_the_operators_kafka_is_taken_as_it_is(folder, monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")

    planned = plan(folder, settings=SETTINGS, kafka_port=9)

    assert planned.kafka == "kafka:9092"
    assert "TOPIC_REPLICATION" not in planned.environment


def test_a_broker_has_the_same_port_at_every_start(folder, monkeypatch):
    monkeypatch.setattr(ports, "is_free", lambda port: port >= 9094)
    first = ports.kept(folder / "broker")
    monkeypatch.setattr(ports, "is_free", lambda _: True)

    assert (first, ports.kept(folder / "broker")) == (9094, 9094)


def test_a_port_that_was_taken_since_is_given_up_for_the_next(folder, monkeypatch):
    monkeypatch.setattr(ports, "is_free", lambda _: True)
    first = ports.kept(folder / "broker")
    monkeypatch.setattr(ports, "is_free", lambda port: port != first)

    assert (first, ports.kept(folder / "broker"), ports.kept(folder / "broker")) == (9092, 9093, 9093)


def test_the_log_of_an_earlier_run_is_not_repeated(folder):
    log = folder / "service.log"
    log.write_text("earlier\n")
    start = processes.size(log)
    with log.open("a") as added:
        added.write("now\n")

    assert processes.last_lines(log, start=start) == "now"


@pytest.fixture
def broker(folder):
    """A broker that lives in the folder, as far as others can see."""
    (folder / local.BROKER_DIR).mkdir(parents=True)
    lock = record.take_lock(folder / local.BROKER_DIR)
    record.write(
        folder / local.BROKER_DIR, record.Record(pid=1, launcher_pid=1, tied=True, bootstrap_servers="127.0.0.1:9095")
    )
    yield lock
    os.close(lock)


@pytest.mark.usefixtures("broker")
def test_commands_find_the_kafka_of_their_folder_and_its_one_copy_of_each_topic(capsys):
    settings = local.load(CatalogueSettings)

    assert (settings.kafka_bootstrap_servers, settings.topic_replication) == ("127.0.0.1:9095", 1)
    assert "looking at the Kafka of this folder, 127.0.0.1:9095" in capsys.readouterr().err


@pytest.mark.usefixtures("broker")
def test_a_kafka_that_is_named_counts_before_that_of_the_folder(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")

    settings = local.load(CatalogueSettings)

    assert (settings.kafka_bootstrap_servers, settings.topic_replication) == ("kafka:9092", 3)


@pytest.mark.usefixtures("broker")
def test_the_broker_of_the_folder_keeps_the_port_that_it_has():
    assert ports.kept(local.BROKER_DIR) == 9095


def test_without_any_kafka_it_is_said_where_one_was_looked_for():
    with pytest.raises(Misconfigured, match=r"KAFKA_BOOTSTRAP_SERVERS is not set, and no Kafka of .* \(var/broker\)"):
        local.load(CatalogueSettings)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("10.0.0.7", "http://10.0.0.7:8080"),
        ("localhost", "http://localhost:8080"),
    ],
)
def test_the_ingress_is_asked_where_it_listens(host, url):
    settings = IngressSettings(
        _env_file=None, kafka_bootstrap_servers="kafka:9092", metriport_webhook_keys="k" * 32, ingress_host=host
    )

    assert settings.url() == url
