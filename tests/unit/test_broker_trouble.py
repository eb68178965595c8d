import shutil
import stat
from types import SimpleNamespace

import pytest

from cli import broker
from cli.broker import diagnosis, jars, sources
from cli.broker.errors import DiskFull, FetchFailed, JavaTooOld, NoSource, PortTaken, StartFailed


@pytest.fixture
def bare_machine(tmp_path, monkeypatch):
    """A machine with nothing on it; returns the folder its commands are looked for in."""
    commands = tmp_path / "bin"
    commands.mkdir()
    monkeypatch.setenv("PATH", str(commands))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return commands


def command(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("java.lang.UnsupportedClassVersionError: kafka/Kafka", JavaTooOld),
        ("java.net.BindException: Address already in use", PortTaken),
        ("java.io.IOException: No space left on device", DiskFull),
        ("anything else", StartFailed),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_log_of_a_broker_that_did_not_start_is_understood(tmp_path, words, error):
    log = tmp_path / "broker.log"
    log.write_text(words)

    assert type(diagnosis.why(log, port=9092, timeout_s=60)) is error


@pytest.mark.usefixtures("bare_machine")
def test_a_machine_with_neither_java_nor_docker_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(sources, "sources", lambda: [jars.Jars()])

    with pytest.raises(NoSource, match="Install Java 17 and Maven"):
        sources.best()


def test_java_without_maven_is_enough_only_once_the_jars_are_there(bare_machine):
    command(bare_machine, "java", "true")
    without = jars.Jars().available()
    jars.cache_folder().mkdir(parents=True)

    assert (without, jars.Jars().available()) == (False, True)


def test_jars_that_cannot_be_fetched_say_what_maven_said_and_leave_nothing_behind(bare_machine):
    command(bare_machine, "mvn", "echo 'Unknown host'; exit 1")

    with pytest.raises(FetchFailed, match="Unknown host"):
        jars.fetched(lambda _line: None)

    assert [path.name for path in jars.cache_folder().parent.iterdir()] == [f"{jars.cache_folder().name}.lock"]


async def test_a_disk_with_too_little_room_is_refused_before_anything_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1 << 20))

    with pytest.raises(DiskFull, match="Only 1 MiB are free"):
        await broker.start(tmp_path)
