import fcntl
import json
from pathlib import Path

import pytest

from cli import checkup
from cli.main import main
from ingress import set_aside, spool_lock
from ingress.set_aside import Note, SetAside


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPOOL_DIR", str(tmp_path / "spool"))
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


@pytest.fixture
def aside(folder) -> SetAside:
    """A damaged spool, of which 3 deliveries were moved and 1 is missing."""
    (folder / "spool.sqlite").write_bytes(b"\0" * 4096)
    moved = set_aside.set_aside(folder / "spool.sqlite")
    moved.write(Note(moved=3, missing=1, read_to_end=True))
    return moved


@pytest.fixture
def spool(folder, capsys):  # noqa: ARG001 - the command finds it by its setting
    """Run `metriport-streams spool …`; return exit code, what it printed, and what it said."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["spool", *arguments])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return run


def test_what_is_set_aside_is_listed_without_a_kafka_and_without_a_key(spool, aside):
    code, printed, _ = spool("list", "--json")

    assert code == 0
    assert json.loads(printed) == [
        {"name": aside.name, "state": "salvaged", "bytes": 4096, "moved": 3, "missing": 1},
    ]


def test_a_running_ingress_is_told_of(spool, folder):
    lock = spool_lock.SpoolLock(folder)

    assert "in use by a running ingress" in spool("list")[2]
    lock.release()
    assert "in use" not in spool("list")[2]


def test_nothing_is_removed_unless_somebody_says_so(spool, aside, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)

    code, _, said = spool("drop", aside.name)

    assert code == 2
    assert "--yes" in said
    assert aside.path.exists()


def test_what_is_dropped_is_gone_with_all_that_lies_beside_it(spool, aside, folder):
    assert spool("drop", aside.name, "--yes", "--json")[:2] == (0, f'{{"dropped": ["{aside.name}"]}}\n')
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["spool.sqlite", "another"])
def test_only_what_is_set_aside_can_be_named(spool, aside, name):
    assert spool("drop", name, "--yes")[0] == 2
    assert aside.path.exists()


@pytest.mark.usefixtures("aside")
def test_salvaging_what_the_ingress_salvaged_sends_nothing_and_settles_it(spool, folder, monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert not checkup.spools(folder).well

    code, printed, _ = spool("salvage", "--json")

    assert code == 1  # one is missing
    assert [(one["sent"], one["moved"], one["state"]) for one in json.loads(printed)] == [(0, 3, "dealt with")]
    assert checkup.spools(folder).well


def test_without_a_kafka_nothing_is_salvaged(spool, aside, monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    aside.write(Note())

    assert spool("salvage")[0] == 3
    assert aside.note == Note()


def test_one_that_somebody_reads_is_left_alone(spool, aside):
    with (aside.path.parent / f"{aside.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        code, _, said = spool("drop", "--yes")

    assert code == 1
    assert "right now" in said
    assert aside.path.exists()
