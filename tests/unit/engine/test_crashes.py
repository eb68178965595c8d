"""Whatever is killed between any two effects, and however the records are cut into batches: nothing is repeated."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.fakes import Crash, MemoryKafka, Process, Record
from tests.unit.engine.jobs import Fold, Told, Walk

LIVES = st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(1, 5)), max_size=12)
VALUES = st.lists(st.sampled_from([b"0", b"1", b"2", b"3", b"4", b"5", b"poison"]), min_size=1, max_size=12)


async def live_through(job, values, lives, **changed) -> Process:
    """Process `values` in several lives, each ending after so many effects; the last one ends by itself."""
    kafka, state = MemoryKafka(batch_bytes_max=40), None
    records = [Record(offset, value, key=b"p%d" % (offset % 3)) for offset, value in enumerate(values)]
    for effects, wiped, batch in [*lives, (None, False, 3)]:
        kafka.effects_left = effects
        process = Process(job, kafka, None if wiped else state, **changed)
        try:
            await process.begin()
        except Crash:
            continue
        state = process.state
        # The group's offsets may be far behind: the state and the tails must be enough.
        for start in range(0, len(records), batch):
            process.feed(records[start : start + batch])
            await process.idle()
            if process.ended:
                break
    assert not process.ended
    return process


@settings(max_examples=150, deadline=None)
@given(VALUES, LIVES)
def test_a_batch_job_writes_every_output_once_and_folds_every_record_once(values, lives):
    process = asyncio.run(live_through(Fold(), values, lives))

    numbers = [int(value) for value in values if value != b"poison"]
    outputs = {
        topic: [b"%d.%d" % (n, copy) for n in numbers if n % 2 == parity for copy in range(n % 3)]
        for parity, topic in enumerate(Fold.outputs)
    }
    folded = {}
    for offset, value in enumerate(values):
        if value != b"poison":
            folded.setdefault(b"p%d" % (offset % 3), []).append(int(value))
    assert {topic: process.kafka.values(topic) for topic in outputs} == outputs
    assert process.kafka.values("quarantine") == [value for value in values if value == b"poison"]
    for key, seen in folded.items():
        assert process.state.copies[0][key] == b"%d %d" % (len(seen), seen[-1])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=5), LIVES, st.integers(1, 3))
def test_a_long_job_writes_every_output_once_although_each_record_takes_many_steps(steps, lives, tail_records):
    values = [b"%d" % count for count in steps]

    process = asyncio.run(live_through(Walk(), values, lives, tail_records=tail_records))

    expected = [b"%d.%d" % (offset, step) for offset, count in enumerate(steps) for step in range(count)]
    assert process.kafka.values("a") == expected
    assert process.state.copies[0][b"\0pos/in"] == b"%d" % len(values)


SOURCES = ("one", "two", "three")
TURNS = st.lists(st.tuples(st.sampled_from(SOURCES), st.integers(1, 3)), max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans(), TURNS), max_size=8), TURNS)
def test_what_is_published_last_is_the_state_whichever_source_comes_first_after_a_crash(lives, last):
    process = asyncio.run(live_with_several_sources([*lives, (None, False, last)]))

    told = [row.value for row in process.kafka.logs["told", 0]]
    assert told[-1] == process.state.copies[0][b"k"]
    assert told == [told[-1][: length + 1] for length in range(len(told))]


async def live_with_several_sources(lives) -> Process:
    """Each life takes some records of some sources in its own order; the last one takes all that are left."""
    kafka, state = MemoryKafka(), None
    records = {
        topic: [Record(offset, b"%c" % (65 + 12 * at + offset), topic=topic) for offset in range(12)]
        for at, topic in enumerate(SOURCES)
    }
    for topic in SOURCES:
        kafka.inputs[topic, 0] = {record.offset: record for record in records[topic]}
        kafka.logs[topic, 0] = [None] * 12
    for effects, wiped, turns in lives:
        kafka.effects_left = effects
        process = Process(Told(), kafka, None if wiped else state, sources=SOURCES)
        try:
            await process.begin()
        except Crash:
            continue
        state = process.state
        rest = [(topic, 12) for topic in SOURCES] if effects is None else []
        for topic, count in [*turns, *rest]:
            done = int(process.state.copies[0].get(b"\0pos/" + topic.encode(), b"0"))
            if not process.ended and records[topic][done : done + count]:
                process.feed(records[topic][done : done + count])
                await process.idle()
    assert not process.ended
    return process
