"""Records as other tools may write them, read by aiokafka's own consumer code."""

import struct

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from streams.engine.kafka import header_names

PLAIN, GZIP, SNAPPY, LZ4, ZSTD = range(5)


@pytest.fixture(autouse=True)
def _accepting():
    header_names.accept()


def batch(*records, codec=PLAIN, swap=(b"", b""), base=0, log_append_ms=None) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=2**20,
    )
    for number, (key, value, headers) in enumerate(records):
        builder.append(number, timestamp=-1, key=key, value=value, headers=headers)
    data = bytearray(bytes(builder.build()).replace(*swap))
    struct.pack_into(">q", data, 0, base)
    if log_append_ms is not None:
        data[22] |= 0x08
        struct.pack_into(">q", data, 35, log_append_ms)
    struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
    return bytes(data)


def read(data: bytes, start: int = 0) -> list:
    tp = TopicPartition("in", 0)
    records = fetcher.MemoryRecords(data)
    return list(fetcher.PartitionRecords(tp, records, [], start, None, None, check_crcs=True, isolation_level=0))


def test_a_header_name_that_is_no_text_is_made_legible_and_its_neighbours_are_as_they_were():
    data = batch(
        (b"k", b"before", [("a", b"1")]),
        (b"k", b"odd", [("xx", b"\xff"), ("b", None)]),
        (b"k", b"behind", []),
        swap=(b"xx", b"\xff\xfe"),
    )

    found = read(data + batch((b"k", b"next", []), base=3))

    assert [(record.offset, record.value) for record in found] == [
        (0, b"before"),
        (1, b"odd"),
        (2, b"behind"),
        (3, b"next"),
    ]
    assert found[1].headers == (("\\xff\\xfe", b"\xff"), ("b", None))


def test_reading_may_begin_behind_an_odd_record():
    data = batch((b"k", b"odd", [("xx", b"")]), (b"k", b"behind", []), swap=(b"xx", b"\xff\xfe"))

    assert [record.value for record in read(data, start=1)] == [b"behind"]


@pytest.mark.parametrize("codec", [PLAIN, GZIP, SNAPPY, LZ4, ZSTD], ids=["plain", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_of_kafka_is_read(codec):
    assert [record.value for record in read(batch((b"k", b"value" * 100, []), codec=codec))] == [b"value" * 100]


def test_no_key_no_value_and_no_time_are_read_as_such():
    (record,) = read(batch((None, None, [])))

    assert (record.key, record.value, record.timestamp) == (None, None, -1)


def test_the_brokers_time_is_read_where_the_topic_asks_for_it():
    (record,) = read(batch((None, b"", []), log_append_ms=1_700_000_000_000))

    assert (record.value, record.timestamp) == (b"", 1_700_000_000_000)
