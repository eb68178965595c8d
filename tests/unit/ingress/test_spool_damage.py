"""Whatever happens to the spool's files: what is whole in them comes out, nothing comes out altered, damage is told."""

import os
import random
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingress import set_aside, spool_journal
from ingress.records import Delivery
from ingress.set_aside import SetAside
from ingress.spool import Spool
from ingress.spool_file import FILE_NAME, SpoolFile
from ingress.spool_writer import SpoolFailed

from . import spool_images
from .spool_images import FRAME_BYTES, JOURNAL_NAME, PAGE_BYTES, Image

MIB = 2**20
TRIES_MAX = 5


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> dict[str, Image]:
    folder = tmp_path_factory.mktemp("images")
    return {
        "in the journal": spool_images.image(folder / "1", seed=1, journaled=60, large=True),
        "in the file": spool_images.image(folder / "2", seed=2, folded=60, journaled=20, large=True),
        "drained in part": spool_images.image(folder / "3", seed=3, folded=50, journaled=20, drained=30, large=True),
        "small": spool_images.image(folder / "5", seed=5, folded=6, journaled=6),
        "of the first version": spool_images.first_version(folder / "4", seed=4, count=50),
    }


@pytest.fixture
def quick_folder(tmp_path) -> Iterator[Path]:
    """A folder in memory, where the machine has one: many spools are opened, and all that they write is synced."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as made:
        yield Path(made)


@pytest.fixture
def drained() -> Callable:
    """Open the spool in a folder and drain it, as an ingress does; returns what came out and how many are set aside."""

    async def drain(folder: Path) -> tuple[list[Delivery], int]:
        spool = Spool(folder, bytes_max=64 * MIB, batch_max=64)
        await spool.open()
        found: list[Delivery] = []
        tries = TRIES_MAX
        while tries:
            try:
                rows = await spool.head(50)
                if not rows:
                    break
                found += [row.delivery for row in rows]
                await spool.remove(rows[-1])
            except SpoolFailed:
                tries -= 1
        assert tries
        await spool.write(Delivery(b"still at work", "2026-01-02T03:04:05.000Z"))
        aside = spool.set_aside
        await spool.close()
        return found, aside

    return drain


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def overwritten(data: bytes, at: int, new: bytes) -> bytes:
    return (data[:at] + new + data[at + len(new) :])[: len(data)]


def hurt(data: bytes, kind: str, place: float, seed: int) -> bytes:
    if not data:
        return data
    at = int(place * len(data))
    match kind:
        case "bit":
            return flipped(data, at * 8 + seed % 8)
        case "page":
            return overwritten(data, at // PAGE_BYTES * PAGE_BYTES, bytes(PAGE_BYTES))
        case "sector":
            return overwritten(data, at // 512 * 512, bytes(512))
        case "noise":
            return overwritten(data, at, random.Random(seed).randbytes(1 + seed % 3000))
        case _:
            return data[:at]


DAMAGE = st.tuples(
    st.sampled_from(["file", "journal"]),
    st.sampled_from(["bit", "bit", "page", "sector", "noise", "cut"]),
    # Headers are small, and all depends on them.
    st.one_of(st.floats(0, 1, exclude_max=True), st.floats(0, 0.002)),
    st.integers(0, 2**16),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["in the journal", "in the file", "drained in part", "of the first version"]),
    damages=st.lists(DAMAGE, min_size=1, max_size=4),
)
async def test_what_is_whole_comes_out_and_nothing_altered(images, drained, quick_folder, name, damages):
    image, folder = images[name], quick_folder / "spool"
    files = {"file": image.file, "journal": image.journal}
    for which, kind, place, seed in damages:
        files[which] = hurt(files[which], kind, place, seed)
    wanted = spool_images.intact(image, files["file"], files["journal"])
    shutil.rmtree(folder, ignore_errors=True)
    Image(files["file"], files["journal"], (), frozenset()).put(folder)

    found, _ = await drained(folder)

    assert set(wanted) <= set(found)
    assert set(found) <= image.written


@pytest.mark.parametrize("where", ["file", "journal"])
async def test_every_bit_of_the_headers_may_flip(images, drained, quick_folder, where):
    image = images["small"]
    data = image.journal if where == "journal" else image.file
    # The file's header, its first page's, and the journal's with the header of its first frame.
    size = 56 if where == "journal" else 112
    for byte in range(size):
        folder = quick_folder / str(byte)
        broken = flipped(data, byte * 8 + byte * 5 % 8)
        Image(
            image.file if where == "journal" else broken,
            broken if where == "journal" else image.journal,
            (),
            frozenset(),
        ).put(folder)

        found, _ = await drained(folder)

        assert set(image.wanted) <= set(found), byte
        assert set(found) <= image.written, byte


async def test_a_flipped_bit_in_the_journal_costs_one_delivery_at_most_and_is_told(images, drained, tmp_path):
    image = images["in the journal"]
    # In the middle: behind it are many that SQLite would forget.
    bit = (32 + len(image.journal) // FRAME_BYTES // 2 * FRAME_BYTES + 24 + 4000) * 8
    broken = flipped(image.journal, bit)
    Image(image.file, broken, (), frozenset()).put(tmp_path / "spool")

    found, aside = await drained(tmp_path / "spool")

    assert aside == 1
    assert len(found) >= len(image.wanted) - 1
    assert found == [one for one in image.wanted if one in found]
    [kept] = set_aside.every(tmp_path / "spool")
    assert [path.read_bytes() for path in kept.files] == [image.file, broken]
    assert kept.note.read_to_end
    assert kept.note.missing == len(image.wanted) - len(found)


@pytest.mark.parametrize("pages", [1, 7])
async def test_a_file_that_was_cut_gives_all_that_is_left(images, drained, tmp_path, pages):
    image = images["in the file"]
    cut = image.file[: -pages * PAGE_BYTES - 100]
    Image(cut, b"", (), frozenset()).put(tmp_path / "spool")

    found, aside = await drained(tmp_path / "spool")

    assert aside == 1
    assert set(spool_images.intact(image, cut, b"")) <= set(found)
    assert len(found) > len(image.wanted) / 2


@pytest.mark.parametrize("tear", ["cut", "a sector", "a page", "the end"])
async def test_a_transaction_torn_by_a_power_cut_is_no_damage(images, drained, tmp_path, tear):
    image = images["in the journal"]
    frames = spool_journal.read(image.journal).frames
    # The last transaction was not synced: any part of it may be missing.
    begin = 32 + FRAME_BYTES * (max(number for number, frame in enumerate(frames[:-1]) if frame.pages) + 1)
    torn = {
        "cut": image.journal[: begin + 5000],
        "a sector": overwritten(image.journal, (begin // 512 + 3) * 512, bytes(512)),
        "a page": overwritten(image.journal, (begin // 4096 + 1) * 4096, bytes(4096)),
        "the end": overwritten(image.journal, len(image.journal) - 4608, bytes(4608)),
    }[tear]
    Image(image.file, torn, (), frozenset()).put(tmp_path / "spool")

    found, aside = await drained(tmp_path / "spool")

    assert aside == 0
    assert set(spool_images.intact(image, image.file, torn)) <= set(found)
    assert found == [one for one in image.wanted if one in found]


async def test_a_wrong_index_beside_the_journal_changes_nothing(images, drained, tmp_path):
    image = images["in the journal"]
    image.put(tmp_path / "spool")
    (tmp_path / "spool" / f"{FILE_NAME}-shm").write_bytes(random.Random(1).randbytes(32768))

    assert await drained(tmp_path / "spool") == (list(image.wanted), 0)


async def test_a_journal_that_is_gone_is_told(tmp_path, drained):
    spool = SpoolFile(tmp_path / FILE_NAME, bytes_max=64 * MIB)
    kept, lost = spool_images.deliveries(10, seed=8), spool_images.deliveries(3, seed=9)
    spool.add(kept)
    spool._fold()
    spool.add(lost)
    shutil.copytree(tmp_path, tmp_path / "killed")
    spool.close()
    (tmp_path / "killed" / JOURNAL_NAME).unlink()

    assert await drained(tmp_path / "killed") == (kept, 1)


async def test_a_spool_that_was_closed_needs_no_journal(tmp_path, drained):
    spool = SpoolFile(tmp_path / FILE_NAME, bytes_max=64 * MIB)
    kept = spool_images.deliveries(10, seed=8)
    spool.add(kept)
    spool.close()

    assert not (tmp_path / JOURNAL_NAME).exists()
    assert await drained(tmp_path) == (kept, 0)


@pytest.mark.parametrize("name", ["in the journal", "in the file", "drained in part", "of the first version"])
async def test_a_spool_left_by_a_killed_process_is_no_damage(images, drained, tmp_path, name):
    images[name].put(tmp_path / "spool")

    assert await drained(tmp_path / "spool") == (list(images[name].wanted), 0)


async def test_what_a_failed_transaction_left_in_the_journal_is_no_damage(tmp_path, drained):
    folder = tmp_path / "spool"
    folder.mkdir()
    spool = SpoolFile(folder / FILE_NAME, bytes_max=64 * MIB)
    spool._sql.execute("PRAGMA cache_size = 2")
    many = spool_images.deliveries(100, seed=9)

    def fail(after: int):
        yield from many[:after]
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - ours, from above
        spool.add(fail(90))
    spool.add(many[:3])
    spool.add(many[3:6])
    shutil.copytree(folder, tmp_path / "killed")
    spool.close()

    assert await drained(tmp_path / "killed") == (many[:6], 0)


async def test_a_delivery_that_vanishes_from_a_sound_file_is_found_out(images, drained, tmp_path):
    image = images["in the file"]
    path = image.put(tmp_path / "spool")
    spool = SpoolFile(path, bytes_max=64 * MIB)
    spool.head(count_max=1, bytes_max=1)
    spool._sql.execute("DELETE FROM deliveries WHERE id = 10")
    spool.close()

    found, aside = await drained(tmp_path / "spool")

    assert aside == 1
    assert len(found) >= len(image.wanted) - 1


async def test_drained_deliveries_do_not_come_again_when_damage_is_met_later(tmp_path, drained):
    image = spool_images.image(tmp_path / "image", seed=6, folded=80)
    body = image.wanted[70].body
    broken = image.file.replace(body, b"x" * len(body))
    Image(broken, image.journal, (), frozenset()).put(tmp_path / "spool")

    found, aside = await drained(tmp_path / "spool")

    assert aside == 1
    assert found == [*image.wanted[:70], *image.wanted[71:]]


async def test_a_set_aside_that_was_interrupted_is_gone_on_with(images, drained, tmp_path):
    image = images["in the journal"]
    path = image.put(tmp_path / "spool")
    (tmp_path / "spool" / JOURNAL_NAME).rename(tmp_path / "spool" / "spool.damaged-20260102T030405.sqlite-wal")

    found, aside = await drained(tmp_path / "spool")

    assert (found, aside) == (list(image.wanted), 1)
    assert path.exists()


async def test_a_salvage_that_was_interrupted_goes_on_where_it_was(images, drained, tmp_path, monkeypatch):
    image = images["in the journal"]
    (tmp_path / "spool").mkdir()
    kept = SetAside(tmp_path / "spool" / "spool.damaged-20260102T030405.sqlite")
    kept.take_over(image.put(tmp_path / "spool"))
    taken: list[Delivery] = []

    def take(batch):
        if taken:
            raise OSError
        taken.extend(batch[:30])

    with monkeypatch.context() as smaller:
        smaller.setattr(set_aside, "BATCH", 30)
        with pytest.raises(OSError):  # noqa: PT011 - ours, from above
            kept.move(take)

    found, aside = await drained(tmp_path / "spool")

    assert (taken + found, aside) == (list(image.wanted), 1)


@pytest.mark.parametrize("word", [0, 2, 500, 1025], ids=str)
def test_one_word_that_changed_in_the_last_transaction_is_damage_though_there_are_zeros(images, word):
    data = images["in the journal"].journal
    at = len(data) - FRAME_BYTES + (word * 4 if word < 2 else 24 + (word - 2) * 4)
    broken = overwritten(data, at, struct.pack(">I", struct.unpack_from(">I", data, at)[0] ^ 0x40))

    assert spool_journal.read(broken).state == "damaged"
