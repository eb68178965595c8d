"""What is set aside always fits, whatever the record looks like."""

import pytest

from models import topics
from models.headers import QUARANTINE_LEFT_OUT, QUARANTINE_OFFSET, get
from models.stages import STAGES
from streams.engine.log.record_size import output_bytes
from streams.engine.log.source_header import Sequencer
from streams.engine.work.plan import plan_batch
from tests.unit.engine.fakes import Record
from tests.unit.engine.jobs import Fold

MOST = 100_000  # RECORD_BYTES_MAX of these tests
ROOM = topics.QUARANTINE_ROOM_BYTES


def set_aside(record: Record):
    plan = plan_batch(
        Fold(),
        [record],
        read=lambda keys: [None for _ in keys],
        sequencer=Sequencer("in", 0, {}),
        record_bytes_max=MOST,
    )
    (output,) = plan.outputs["quarantine"]
    return output


@pytest.mark.parametrize(
    "headers",
    [
        (("h", None),),
        (("x-source", None), ("ce_id", None)),
        (("", b""),),
        tuple((f"h{number}", b"v") for number in range(10_000)),
        (("name\\xff", b"\xff\xfe"),),
    ],
    ids=["no value", "our names without a value", "no name", "ten thousand", "odd bytes"],
)
def test_headers_are_kept_as_they_came(headers):
    output = set_aside(Record(7, b"poison", headers=headers))

    theirs = [each for each in headers if each[0] != "x-source"]
    assert output.headers[: len(theirs)] == theirs
    assert get(output.headers, "x-source") == b"in/0/7/0"
    assert get(output.headers, QUARANTINE_LEFT_OUT) is None


def test_the_largest_body_that_fits_into_its_source_fits_into_quarantine():
    largest = b"x" * (MOST - 160)

    output = set_aside(Record(0, largest))

    assert output.value == largest
    assert output_bytes(output) <= MOST + ROOM


@pytest.mark.parametrize(
    ("record", "left_out"),
    [
        (Record(0, b"poison", headers=(("h", b"x" * (MOST + ROOM)),)), {"headers"}),
        (Record(0, b"x" * (MOST + ROOM)), {"value"}),
        (Record(0, b"x", key=b"k" * (MOST + ROOM)), {"key"}),
    ],
    ids=["headers", "value", "key"],
)
def test_what_was_larger_than_a_record_before_it_was_compressed_is_left_out_and_told(record, left_out):
    output = set_aside(record)

    told = dict(part.split(b"=") for part in get(output.headers, QUARANTINE_LEFT_OUT).split())
    assert {name.decode() for name in told} == left_out
    assert max(map(int, told.values())) >= MOST + ROOM
    assert output_bytes(output) <= MOST + ROOM
    assert get(output.headers, QUARANTINE_OFFSET) == b"0"


def test_a_quarantine_topic_takes_a_record_of_its_source_and_what_is_said_about_it():
    most = {
        topic.name: int(topic.config(record_bytes_max=MOST)["max.message.bytes"])
        for topic in topics.catalogue(("Patient",))
    }

    quarantines = {topics.quarantine(stage) for stage in STAGES}
    assert {name for name, bytes_max in most.items() if bytes_max == MOST + ROOM} == quarantines
    assert {bytes_max for name, bytes_max in most.items() if name not in quarantines} == {MOST}
