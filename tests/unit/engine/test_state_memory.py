"""The local copies of all partitions of a process stay within one amount of memory."""

import random

import pytest

from streams.engine.driver.state_memory import StateMemory

BYTES_MAX = 8 * 2**20


def memory(partitions):
    return StateMemory(BYTES_MAX, partitions=partitions, open_files_max=1024)


@pytest.mark.parametrize("partitions", [1, 12, 40])
def test_all_partitions_stay_within_one_bound_while_they_are_written_and_read(tmp_path, partitions):
    shared, chance, most = memory(partitions), random.Random(1), 0
    databases = [shared.open(tmp_path / str(number)) for number in range(partitions)]

    for number in range(60_000):
        databases[number % partitions].put(chance.randbytes(20), chance.randbytes(400))
        if number % 1000 == 0:
            most = max(most, shared.used_bytes)
    for database in databases:
        assert sum(1 for _ in database.items()) >= 60_000 // partitions
        most = max(most, shared.used_bytes)

    # What is pinned for the moment of a flush may pass the bound by a block or two per partition.
    assert BYTES_MAX / 4 < most < BYTES_MAX * 1.25


def test_a_busy_partition_is_not_flushed_more_often_because_others_are_idle(tmp_path):
    shared = memory(12)
    databases = [shared.open(tmp_path / str(number)) for number in range(12)]
    for database in databases[1:]:
        for number in range(300):
            database.put(b"%d" % number, b"x" * 512)

    for number in range(3000):
        databases[0].put(b"%d" % (number % 100), b"x" * 512)

    files = list((tmp_path / "0").glob("*.sst"))
    assert len(files) <= 3000 * 512 // (BYTES_MAX // 48) + 1


def test_what_was_written_is_there_when_it_is_opened_again(tmp_path):
    database = memory(1).open(tmp_path / "0")
    database.put(b"key", b"value")
    database.close()

    assert memory(1).open(tmp_path / "0").get(b"key") == b"value"
