"""The spool on a real disk."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from ingress.records import Delivery
from ingress.spool import Spool
from ingress.spool_file import FILE_NAME, SpoolFile, SpoolFull
from ingress.spool_writer import SpoolFailed
from models.errors import Misconfigured

MIB = 2**20


def delivery(number: int, size: int = 100) -> Delivery:
    return Delivery(f"{number:06d}".encode() + b"x" * (size - 6), "2026-01-02T03:04:05.000Z")


@pytest_asyncio.fixture
async def opened(tmp_path) -> AsyncIterator[Callable]:
    """Open a spool in the test's folder; all are closed at the end."""
    spools: list[Spool] = []

    async def open_one(folder: Path = tmp_path, *, bytes_max: int = 64 * MIB, batch_max: int = 256) -> Spool:
        spool = Spool(folder, bytes_max=bytes_max, batch_max=batch_max)
        await spool.open()
        spools.append(spool)
        return spool

    yield open_one
    for spool in spools:
        await spool.close()


async def fill(spool: Spool, size: int) -> list[Delivery]:
    """Write until there is no room; return what was kept."""
    kept = []
    for number in range(10_000):
        try:
            await spool.write(delivery(number, size))
        except SpoolFull:
            return kept
        kept.append(delivery(number, size))
    raise AssertionError("never full")


async def emptied(spool: Spool, found: list[Delivery] | None = None) -> list[Delivery]:
    """Read and remove everything, in order."""
    found = [] if found is None else found
    while rows := await spool.head(50):
        found += [row.delivery for row in rows]
        await spool.remove(rows[-1])
    return found


async def test_what_was_written_is_read_back_in_order_and_byte_for_byte(opened):
    spool = await opened()
    wanted = [delivery(number) for number in range(300)]

    for one in wanted:
        await spool.write(one)

    assert spool.backlog == 300
    assert await emptied(spool) == wanted
    assert spool.backlog == 0


async def test_many_writes_at_once_keep_their_order(opened):
    spool = await opened()

    await asyncio.gather(*(spool.write(delivery(number)) for number in range(1000)))

    assert await emptied(spool) == [delivery(number) for number in range(1000)]


async def test_a_write_counts_as_backlog_before_it_is_done(opened):
    spool = await opened()

    writing = asyncio.create_task(spool.write(delivery(1)))
    await asyncio.sleep(0)

    assert spool.backlog == 1
    await writing
    assert spool.backlog == 1


async def test_what_was_written_is_there_after_a_restart(opened):
    first = await opened()
    await first.write(delivery(1))
    await first.close()

    second = await opened()

    assert second.backlog == 1
    assert await emptied(second) == [delivery(1)]


async def test_a_second_process_is_refused_the_folder(opened, tmp_path):
    await opened()

    with pytest.raises(Misconfigured, match="in use by another ingress"):
        await Spool(tmp_path, bytes_max=MIB, batch_max=1).open()


async def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(Misconfigured, match="cannot be used"):
        await Spool(tmp_path / "file" / "spool", bytes_max=MIB, batch_max=1).open()


async def test_a_spool_of_a_newer_version_is_left_alone(opened, tmp_path):
    await (await opened()).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as sql:
        sql.execute("PRAGMA user_version = 99")
    sql.close()

    with pytest.raises(Misconfigured, match="newer version"):
        await Spool(tmp_path, bytes_max=MIB, batch_max=1).open()


async def test_a_spool_that_is_switched_off_takes_nothing_and_makes_no_folder(tmp_path):
    spool = Spool(tmp_path / "spool", bytes_max=0, batch_max=1)
    await spool.open()

    with pytest.raises(SpoolFailed):
        await spool.write(delivery(1))

    assert spool.state == "off"
    assert not (tmp_path / "spool").exists()
    await spool.close()


async def test_a_full_spool_refuses_says_so_and_stays_within_its_limit(opened, tmp_path):
    spool = await opened(bytes_max=2 * MIB)

    kept = await fill(spool, 20_000)

    assert spool.state == "full"
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2 * MIB
    assert len(kept) > 50
    assert spool.backlog == len(kept)


async def test_a_full_spool_takes_deliveries_again_as_soon_as_there_is_room(opened):
    spool = await opened(bytes_max=2 * MIB)
    kept = await fill(spool, 20_000)
    rows = await spool.head(30)
    await spool.remove(rows[-1])

    await spool.write(delivery(999_999))

    assert spool.state == "ok"
    assert await emptied(spool) == [*kept[30:], delivery(999_999)]


async def test_a_delivery_too_large_for_the_room_does_not_stop_a_small_one(opened):
    spool = await opened(bytes_max=2 * MIB)

    outcomes = await asyncio.gather(spool.write(delivery(1, 5 * MIB)), spool.write(delivery(2)), return_exceptions=True)

    assert isinstance(outcomes[0], SpoolFull)
    assert await emptied(spool) == [delivery(2)]


async def test_an_emptied_spool_gives_the_space_back(opened, tmp_path):
    spool = await opened()
    for number in range(20):
        await spool.write(delivery(number, MIB))

    await emptied(spool)

    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < MIB


async def test_what_was_set_aside_comes_back_with_the_next_start(opened):
    first = await opened()
    for number in (1, 2):
        await first.write(delivery(number))
    await first.hold((await first.head(1))[0])
    assert await emptied(first) == [delivery(2)]
    await first.close()

    second = await opened()

    assert await emptied(second) == [delivery(1)]


def damage(path: Path, *, at: float, size: int = 4096) -> None:
    """Overwrite some bytes in the middle of the file."""
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * at) // 4096 * 4096)
        file.write(b"\xff" * size)


@pytest.mark.parametrize("at", [0.0, 0.5, 0.9], ids=["head", "middle", "end"])
async def test_a_damaged_spool_is_set_aside_and_replaced(opened, tmp_path, at):
    first = await opened()
    wanted = [delivery(number, 3000) for number in range(300)]
    for one in wanted:
        await first.write(one)
    await first.close()
    damage(tmp_path / FILE_NAME, at=at)

    second = await opened()
    found = []
    for _ in range(3):
        try:
            await emptied(second, found)
        except SpoolFailed:
            continue

    assert list(tmp_path.glob("spool.damaged-*.sqlite"))
    assert found == [one for one in wanted if one in found]
    assert len(found) >= (0 if at == 0 else 290)
    await second.write(delivery(7))
    assert await emptied(second) == [delivery(7)]


async def test_a_delivery_whose_bytes_changed_is_never_handed_out(opened, tmp_path):
    first = await opened()
    await first.write(delivery(1))
    await first.write(delivery(2))
    await first.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as sql:
        sql.execute("UPDATE deliveries SET body = CAST('other' AS BLOB) WHERE id = 1")
    sql.close()

    second = await opened()
    with pytest.raises(SpoolFailed):
        await second.head(10)

    assert await emptied(second) == [delivery(2)]


async def test_a_row_read_before_the_file_was_opened_anew_removes_nothing(tmp_path):
    old = SpoolFile(tmp_path / FILE_NAME, bytes_max=MIB)
    old.add([delivery(1)])
    row = old.head(count_max=1, bytes_max=MIB)[0]
    old.close()
    new = SpoolFile(tmp_path / FILE_NAME, bytes_max=MIB)

    new.remove(row)

    assert new.count() == 1
    new.close()


async def test_a_disk_that_fails_is_tried_again_with_the_file_opened_anew(opened, monkeypatch):
    spool = await opened()
    await spool.write(delivery(1))
    add, failures = SpoolFile.add, [sqlite3.OperationalError("disk I/O error")]

    def fail_once(self, deliveries):
        if failures:
            raise failures.pop()
        add(self, deliveries)

    monkeypatch.setattr(SpoolFile, "add", fail_once)
    with pytest.raises(SpoolFailed):
        await spool.write(delivery(2))

    await spool.write(delivery(3))

    assert await emptied(spool) == [delivery(1), delivery(3)]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of eight megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_disk_is_a_full_spool_and_both_are_emptied_without_a_restart(opened, small_disk):
    spool = await opened(small_disk, bytes_max=64 * MIB)

    kept = await fill(spool, 20_000)

    assert spool.state == "full"
    assert await emptied(spool) == kept
    assert spool.state == "ok"
    await spool.close()


async def test_a_disk_filled_by_somebody_else_is_a_full_spool_until_there_is_room(opened, small_disk):
    spool = await opened(small_disk, bytes_max=64 * MIB)
    await spool.write(delivery(1))
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(SpoolFull):
        await spool.write(delivery(2))
    rows = await spool.head(10)

    ballast.unlink()
    await spool.remove(rows[-1])
    await spool.write(delivery(3))

    assert [row.delivery for row in rows] == [delivery(1)]
    assert await emptied(spool) == [delivery(3)]
    await spool.close()
