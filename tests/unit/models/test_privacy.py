import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ingress.records import Delivery
from ingress.spool_file import FILE_NAME, SpoolFile
from ingress.spool_lock import SpoolLock
from models import privacy
from streams.blob_store import open_store

NOBODY = 65534


@pytest.fixture
def open_folder():
    """A folder that anybody can get at, with files in it as a umask of 022 makes them."""
    # Not below TMPDIR, which may be a folder that only its owner enters.
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        Path(made).chmod(0o755)
        folder = Path(made, "data")
        (folder / "within").mkdir(parents=True)
        (folder / "within" / "patient").write_text("planted")
        for path in (folder, folder / "within"):
            path.chmod(0o755)
        (folder / "within" / "patient").chmod(0o644)
        yield folder


def open_ones(folder: Path) -> list[str]:
    return [str(path) for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077]


def test_a_folder_is_closed_with_all_that_is_in_it(open_folder):
    privacy.keep(open_folder)

    assert open_ones(open_folder) == []


def test_a_folder_that_is_closed_may_still_hold_what_is_not(open_folder):
    open_folder.chmod(0o700)

    privacy.keep(open_folder)

    assert open_ones(open_folder) == []


def test_what_a_link_points_at_is_not_touched(open_folder):
    other = open_folder.parent / "other"
    other.write_text("")
    other.chmod(0o644)
    (open_folder / "link").symlink_to(other)

    privacy.keep(open_folder)

    assert other.stat().st_mode & 0o777 == 0o644


def test_a_folder_that_the_process_stands_in_is_not_closed(open_folder, monkeypatch):
    monkeypatch.chdir(open_folder / "within")

    privacy.keep(open_folder)

    assert len(open_ones(open_folder)) == 3


def test_a_user_without_a_home_has_folders_closed_as_everybody_else(open_folder, monkeypatch):
    def nobody(_uid):
        raise KeyError

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)

    privacy.keep(open_folder)

    assert open_ones(open_folder) == []


def test_a_folder_for_everybody_is_not_closed(open_folder):
    open_folder.chmod(0o1777)

    privacy.keep(open_folder)

    assert len(open_ones(open_folder)) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_reads_none_of_it(open_folder):
    def look() -> str:
        command = ["find", str(open_folder), "-type", "f", "-exec", "cat", "{}", "+"]
        return subprocess.run(
            # Not here: the other user may not even enter the folder that the tests run in.
            command,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
        ).stdout

    assert "planted" in look()

    privacy.keep(open_folder)

    assert "planted" not in look()


def test_a_process_writes_for_itself_only_and_leaves_no_core(tmp_path):
    program = """
import resource, pathlib, subprocess, sys
from models import privacy
privacy.begin()
folder = pathlib.Path(sys.argv[1])
(folder / "a" / "b").mkdir(parents=True)
(folder / "a" / "b" / "c").write_text("")
subprocess.run([sys.executable, "-c", f"open({str(folder / 'a' / 'd')!r}, 'w')"], check=True)
print(resource.getrlimit(resource.RLIMIT_CORE))
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)

    assert open_ones(tmp_path / "a") == []
    assert done.stdout.strip() == "(0, 0)"


def test_a_spool_that_was_readable_is_so_no_more(tmp_path):
    path = tmp_path / "spool" / FILE_NAME
    path.parent.mkdir()
    spool = SpoolFile(path, bytes_max=2**20)
    spool.add([Delivery(b"{}", "2026-01-02T03:04:05.000Z")])
    assert open_ones(path.parent)

    SpoolLock(path.parent).release()

    assert open_ones(path.parent) == []
    spool.close()


def test_a_folder_of_blobs_that_was_readable_is_so_no_more(open_folder):
    open_store(open_folder.as_uri())

    assert open_ones(open_folder) == []
