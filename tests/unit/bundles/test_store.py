"""A fetched bundle on this machine's disk."""

import pytest
from obstore.store import LocalStore, MemoryStore

from models.errors import Poison
from streams.bundles.bundle.progress import Progress
from streams.bundles.bundle.store import Blobs


@pytest.fixture(params=["memory", "folder"])
def store(request, tmp_path_factory):
    made = MemoryStore() if request.param == "memory" else LocalStore(tmp_path_factory.mktemp("store"))
    made.put("bundle", b"0123456789" * 1000)
    return made


def test_a_blob_comes_to_disk_byte_for_byte_and_leaves_nothing(store, tmp_path):
    with Blobs(store, bytes_max=10_000, directory=tmp_path).on_disk("bundle", Progress()) as opened:
        assert opened.bytes(5, 25) == b"56789012345678901234"
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "bytes_max", "reason"),
    [
        ("bundle", 9_999, "too_large"),
        *(
            (key, 10_000, "no_blob")
            for key in ("other", "bundle/x", "../bundle", "/", "a//b", "a\0b", "x" * 300, "x/" * 600, "é\n")
        ),
    ],
)
def test_a_blob_that_is_not_there_or_too_large_is_poison(store, key, bytes_max, reason):
    with pytest.raises(Poison) as caught, Blobs(store, bytes_max=bytes_max).on_disk(key, Progress()):
        pass

    assert caught.value.reason == reason
