"""What settings lean on is looked at before anything starts."""

import os

import pytest

from models import preparing
from models.errors import Misconfigured


def test_a_folder_is_made_and_closed_to_others(tmp_path):
    preparing.folder("SPOOL_DIR", tmp_path / "a" / "b")

    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(Misconfigured, match=r"^SPOOL_DIR: .*/file cannot be used as a folder: it is a file\.$"):
        preparing.folder("SPOOL_DIR", tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    tmp_path.chmod(0o500)

    with pytest.raises(Misconfigured, match=r"STATE_DIR: .* cannot be used as a folder: Permission denied"):
        preparing.folder("STATE_DIR", tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", ""])
def test_an_address_of_this_machine_can_be_listened_on(host):
    preparing.address("INGRESS_HOST", host)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b"])
def test_a_name_that_nobody_knows_is_refused(host):
    with pytest.raises(Misconfigured, match=f"INGRESS_HOST: there is no address of the name '{host}'"):
        preparing.address("INGRESS_HOST", host)


def test_the_address_of_another_machine_is_refused():
    with pytest.raises(Misconfigured, match=r"WORKER_HOST: 192\.0\.2\.1 is no address of this machine"):
        preparing.address("WORKER_HOST", "192.0.2.1")  # of no machine: RFC 5737
