"""Records released from quarantine: given to the job as they first came, and marked in what becomes of them."""

import json

import pytest

from models import headers
from tests.unit.engine.fakes import MemoryKafka, Process, Record
from tests.unit.engine.jobs import Fold, Walk

DECISIONS = "release.test"


def released(offset=0, value=b"2", **changed):
    """A record in the topic of decisions, as the command writes it."""
    said = {
        headers.RELEASED: b"quarantine.test/0/7",
        headers.QUARANTINE_TOPIC: b"in",
        headers.QUARANTINE_OFFSET: b"41",
        headers.QUARANTINE_TIMESTAMP: b"1700000000123",
        headers.QUARANTINE_ATTEMPT: b"1",
        headers.QUARANTINE_REASON: b"not_json",
        "x-own": b"kept",
        **changed,
    }
    given = tuple((name, text) for name, text in said.items() if text is not None)
    return Record(offset, value, topic=DECISIONS, headers=given)


async def process(job, *records):
    kafka = MemoryKafka()
    run = Process(job, kafka, sources=("in", DECISIONS), decisions=DECISIONS)
    await run.begin()
    for record in records:
        run.feed([record])
    await run.idle()
    assert run.ended == []
    return kafka


class Seen(Fold):
    """Remembers the records it was given."""

    def __init__(self):
        self.given = []

    def decode(self, record):
        self.given.append(record)
        return super().decode(record)


async def test_the_job_is_given_the_record_with_the_place_and_the_headers_that_it_had():
    job = Seen()

    await process(job, released())

    (record,) = job.given
    assert (record.topic, record.partition, record.offset, record.timestamp) == ("in", 0, 41, 1700000000123)
    assert (record.key, record.value, list(record.headers)) == (b"k", b"2", [("x-own", b"kept")])


@pytest.mark.parametrize(("job", "topic"), [(Fold(), "a"), (Walk(), "a")])
async def test_what_becomes_of_it_says_that_it_was_released_and_where_it_was_read(job, topic):
    kafka = await process(job, released())

    for output in kafka.logs[topic, 0]:
        assert headers.get(output.headers, headers.RELEASED) == b"quarantine.test/0/7"
        assert headers.text(output.headers, headers.SOURCE).startswith(f"{DECISIONS}/0/0/")
    assert len(kafka.logs[topic, 0]) == 2


async def test_what_was_not_released_says_nothing_of_it():
    kafka = await process(Fold(), Record(0, b"2"))

    assert headers.get(kafka.logs["a", 0][0].headers, headers.RELEASED) is None


@pytest.mark.parametrize("job", [Fold(), Walk(fail_at=0, error=ValueError())])
async def test_what_fails_again_is_in_quarantine_with_its_first_place_and_one_attempt_more(job):
    kafka = await process(job, released(value=b"poison" if isinstance(job, Fold) else b"1"))

    (refused,) = kafka.logs["quarantine", 0]
    said = {name: headers.text(refused.headers, name) for name, _ in refused.headers}
    assert (said[headers.QUARANTINE_TOPIC], said[headers.QUARANTINE_OFFSET]) == ("in", "41")
    assert (said[headers.QUARANTINE_ATTEMPT], said["x-own"]) == ("2", "kept")
    assert headers.RELEASED not in said


@pytest.mark.parametrize("job", [Fold(), Walk()])
async def test_a_decision_about_something_else_changes_nothing(job):
    kafka = await process(job, Record(0, json.dumps({"decision": "drop"}).encode(), topic=DECISIONS))

    assert kafka.logs["quarantine", 0] == []
    assert kafka.logs["a", 0] == []


@pytest.mark.parametrize(
    "record",
    [
        Record(0, b"{}", topic=DECISIONS),
        Record(0, None, topic=DECISIONS),
        Record(0, b'{"decision": 1}', topic=DECISIONS),
        released(**{headers.QUARANTINE_TOPIC: None}),
        released(**{headers.QUARANTINE_OFFSET: b"x"}),
        released(**{headers.QUARANTINE_ATTEMPT: None}),
        released(**{headers.QUARANTINE_TIMESTAMP: b"9" * 5000}),
        released(**{headers.RELEASED: b""}),
    ],
)
@pytest.mark.parametrize("job", [Fold(), Walk()])
async def test_what_is_no_decision_is_in_quarantine_and_its_neighbours_are_done(job, record):
    kafka = await process(job, record, released(1))

    (refused,) = kafka.logs["quarantine", 0]
    assert headers.text(refused.headers, headers.QUARANTINE_REASON) in {"unreadable", "unprocessable"}
    assert len(kafka.logs["a", 0]) == 2


async def test_a_job_that_reads_decisions_is_given_them():
    class Decides(Seen):
        reads_decisions = True

    job = Decides()

    await process(job, Record(0, b"2", topic=DECISIONS))

    assert [record.topic for record in job.given] == [DECISIONS]


async def test_a_crash_after_the_outputs_of_a_release_repeats_none():
    kafka = MemoryKafka()
    first = Process(Fold(), kafka, sources=("in", DECISIONS), decisions=DECISIONS)
    await first.begin()
    kafka.effects_left = 1
    first.feed([released()])
    await first.idle()
    kafka.effects_left = None

    second = Process(Fold(), kafka, sources=("in", DECISIONS), decisions=DECISIONS)
    await second.begin()
    second.feed([released()])
    await second.idle()

    assert kafka.values("a") == [b"2.0", b"2.1"]
