"""A file in a local folder, written while its content comes."""

import asyncio
import os
import threading

import pytest

from streams.links.fetching import local_file
from streams.links.fetching.local_file import WRITE_BACK_BYTES, LocalFile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "staging" / "3" / "body"


@pytest.fixture
async def file(path):
    file = LocalFile(path)
    yield file
    await file.discard()


class Held:
    """Pieces of which the second comes when the test lets it; they are asked for in the thread that writes."""

    def __init__(self):
        self.first_written = threading.Event()
        self.go_on = threading.Event()

    def __iter__(self):
        yield b"first"
        self.first_written.set()
        self.go_on.wait()
        yield b"second"


async def cancelled_while_writing(file, held):
    writing = asyncio.create_task(file.write(held))
    await asyncio.to_thread(held.first_written.wait)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing


@pytest.mark.parametrize(
    "batches",
    [
        pytest.param([], id="nothing"),
        pytest.param([[b""]], id="an-empty-piece"),
        pytest.param([[b"a", b"bc"], [], [b"d"]], id="pieces"),
        pytest.param([[b"x" * WRITE_BACK_BYTES, b"y"]] * 3, id="more-than-is-handed-on-at-once"),
    ],
)
async def test_what_is_written_is_in_the_file(file, path, batches):
    for batch in batches:
        await file.write(batch)
    await file.close()

    assert path.read_bytes() == b"".join(piece for batch in batches for piece in batch)


async def test_a_piece_that_the_system_takes_in_parts_is_written_whole(file, path, monkeypatch):
    class Slow(local_file.FileIO):
        def write(self, data):
            return super().write(memoryview(data)[:3])

    monkeypatch.setattr(local_file, "FileIO", Slow)

    await file.write([b"0123456789", b"ab"])
    await file.close()

    assert path.read_bytes() == b"0123456789ab"


async def test_the_whole_file_is_synced_before_it_counts_as_closed(file, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    await file.write([b"abc", b"de"])
    assert synced == []

    await file.close()

    assert synced == [5]


async def test_a_file_that_is_there_already_is_not_touched(file, path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"another's")

    with pytest.raises(FileExistsError):
        await file.write([b"mine"])

    await file.discard()
    assert path.read_bytes() == b"another's"


async def test_a_discarded_file_is_gone_and_takes_nothing_more(file, path):
    await file.write([b"a"])

    await file.discard()

    await file.write([b"b"])
    await file.close()
    assert list(path.parent.iterdir()) == []


async def test_discarding_what_was_never_written_leaves_nothing(file, path):
    await file.discard()
    await file.close()

    assert not path.parent.exists()


async def test_a_closed_file_can_be_discarded(file, path):
    await file.write([b"a"])
    await file.close()

    await file.discard()

    assert not path.exists()


async def test_discarding_waits_for_a_write_whose_caller_was_cancelled(file, path):
    held = Held()
    await cancelled_while_writing(file, held)
    discarding = asyncio.create_task(file.discard())
    await asyncio.sleep(0)
    assert not discarding.done()

    held.go_on.set()
    await discarding

    assert not path.exists()


async def test_the_next_write_comes_behind_one_whose_caller_was_cancelled(file, path):
    held = Held()
    await cancelled_while_writing(file, held)
    writing = asyncio.create_task(file.write([b"third"]))

    held.go_on.set()
    await writing
    await file.close()

    assert path.read_bytes() == b"firstsecondthird"


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="not on this system")
async def test_each_part_is_handed_to_the_disk_once_as_soon_as_there_is_enough(file, monkeypatch):
    advised = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _, start, length, __: advised.append((start, length)))
    half = b"x" * (WRITE_BACK_BYTES // 2)

    for _ in range(5):
        await file.write([half])

    assert advised == [(0, WRITE_BACK_BYTES), (WRITE_BACK_BYTES, WRITE_BACK_BYTES)]


@pytest.mark.parametrize("has_it", [True, False], ids=["refused", "not-on-this-system"])
async def test_nothing_depends_on_that_advice(file, path, monkeypatch, has_it):
    def refuse(*_):
        raise OSError

    if has_it:
        monkeypatch.setattr(os, "posix_fadvise", refuse, raising=False)
    else:
        monkeypatch.delattr(os, "posix_fadvise", raising=False)

    await file.write([b"x" * WRITE_BACK_BYTES])
    await file.close()

    assert path.stat().st_size == WRITE_BACK_BYTES
