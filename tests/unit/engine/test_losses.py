"""Logs that lost their end, and have grown again or not: found, told, and gone on from as an operator decides."""

import asyncio

import pytest

from streams.engine.fatal import Fatal
from streams.engine.fingerprints import fingerprint
from streams.engine.job import Output
from streams.engine.log import checkpoint
from streams.engine.losses import decisions
from streams.engine.losses.losses import examine
from tests.unit.engine.fakes import MemoryKafka, MemoryState, Process, Record
from tests.unit.engine.jobs import Fold, Walk

TOPICS = (*Fold.outputs, Fold.quarantine)
IN = ("in", 0)


def records(first: int, end: int, value: bytes = b"%d") -> list[Record]:
    return [Record(offset, value % offset if b"%d" in value else value) for offset in range(first, end)]


async def worked(*, upto: int, batch: int = 1, job=None) -> Process:
    """A process that has read `upto` records of its source."""
    process = Process(job or Fold(), MemoryKafka(), decisions="decisions")
    await process.begin()
    for first in range(0, upto, batch):
        process.feed(records(first, min(first + batch, upto)))
        await process.idle()
    process.kafka.group[IN] = upto
    return process


def lose(process: Process, *, to: int, regrown: list[Record] = ()) -> None:
    """Cut the source at `to`; it grows again by other records."""
    kafka = process.kafka
    del kafka.logs[IN][to:]
    kafka.inputs[IN] = {offset: record for offset, record in kafka.inputs[IN].items() if offset < to}
    kafka.inputs[IN] |= {record.offset: record for record in regrown}
    kafka.logs[IN] += [Output("in", None, None)] * len(regrown)


async def found(process: Process) -> list:
    return (await examine(process.state, [0], TOPICS, logs=process.kafka, settings=process.settings)).losses


def decide(process: Process, loss, start: int) -> None:
    said = Record(0, decisions.accepting(loss, start), topic="decisions")
    process.kafka.inputs["decisions", 0] = {0: said}
    process.kafka.logs["decisions", 0] = [Output("decisions", None, said.value)]


async def test_a_log_as_it_was_read_has_lost_nothing():
    process = await worked(upto=50, batch=7)

    assert await found(process) == []


async def test_a_log_that_lost_its_end_and_has_grown_past_the_position_is_found_with_where_the_two_part():
    process = await worked(upto=50)
    lose(process, to=38, regrown=records(38, 90, b"7"))

    [loss] = await found(process)

    assert (loss.kind, loss.position) == ("source", 50)
    assert 0 < loss.resume <= 38
    assert "metriport-streams topics accept in/0" in loss.sentence


async def test_a_log_that_ends_before_the_position_is_found():
    process = await worked(upto=50)
    lose(process, to=38)

    [loss] = await found(process)

    assert "the topic ends at 38: it was deleted and made again, or it lost records" in loss.sentence


async def test_a_log_whose_read_records_retention_deleted_has_lost_nothing():
    process = await worked(upto=50)
    process.kafka.first[IN] = 50
    process.kafka.inputs[IN].clear()

    assert await found(process) == []


async def test_a_state_of_an_earlier_version_is_read_as_it_is():
    process = await worked(upto=50)
    for key in list(process.state.copies[0]):
        if key.startswith((b"\0mark/", b"\0end/")):
            del process.state.copies[0][key]
    lose(process, to=38, regrown=records(38, 90, b"7"))

    assert await found(process) == []


async def test_a_group_that_has_finished_more_than_the_state_knows_of_is_found():
    process = await worked(upto=50)
    empty = Process(Fold(), process.kafka)

    [loss] = await found(empty)

    assert (loss.kind, loss.position, loss.group, loss.resume) == ("state", 0, 50, 0)
    assert "the state knows of nothing behind 0" in loss.sentence


@pytest.mark.parametrize("regrown", [0, 3, 9])
async def test_an_output_that_lost_its_end_is_found_whether_it_has_grown_again_or_not(regrown):
    process = await worked(upto=20)
    del process.kafka.logs["a", 0][-3:]
    process.kafka.logs["a", 0] += [Output("a", b"k", b"other")] * regrown

    assert [(loss.kind, loss.topic) for loss in await found(process)] == [("output", "a")]


async def test_an_output_whose_last_record_was_compacted_away_has_lost_nothing():
    process = await worked(upto=20)
    state = process.state.copies[0]
    last = checkpoint.parse(state[b"\0end/a"])
    state[b"\0end/a"] = last._replace(offset=-1).text()

    assert await found(process) == []


async def test_nothing_goes_on_and_it_is_said_until_an_operator_decides():
    process = await worked(upto=50)
    lose(process, to=38, regrown=records(38, 90, b"7"))
    again = Process(Fold(), process.kafka, process.state, decisions="decisions", decision_poll_s=0.01)
    beginning = asyncio.ensure_future(again.begin())
    for _ in range(100):
        await asyncio.sleep(0)
    held = again.engine.needs_decision != "" and not beginning.done()
    [loss] = await found(process)

    decide(process, loss, loss.resume)
    await beginning

    assert (held, again.engine.needs_decision, again.engine.position(IN)) == (True, "", loss.resume)


@pytest.mark.parametrize("batch", [1, 7, 50])
async def test_every_record_below_the_old_position_comes_out_once_a_loss_is_accepted(batch):
    process = await worked(upto=50, batch=batch)
    before = len(process.kafka.logs["b", 0])
    lose(process, to=38, regrown=records(38, 90, b"7"))
    [loss] = await found(process)
    decide(process, loss, 38)

    again = Process(Fold(), process.kafka, process.state, decisions="decisions")
    await again.begin()
    again.feed(list(process.kafka.inputs[IN].values())[:90])
    await again.idle()

    assert again.kafka.values("b")[before:] == [b"7.0"] * 52
    assert await found(again) == []


async def test_a_decision_about_one_loss_says_nothing_about_the_next():
    process = await worked(upto=50)
    lose(process, to=38, regrown=records(38, 90, b"7"))
    [loss] = await found(process)
    decide(process, loss, loss.resume)
    again = Process(Fold(), process.kafka, process.state, decisions="decisions")
    await again.begin()
    again.feed(list(process.kafka.inputs[IN].values())[loss.resume : 90])
    await again.idle()
    lose(again, to=60, regrown=records(60, 95, b"5"))

    third = Process(Fold(), process.kafka, process.state, decisions="decisions", decision_poll_s=10.0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(third.begin(), 0.2)

    assert "stands before 90" in third.engine.needs_decision


async def test_a_state_that_was_lost_is_made_again_from_what_is_there_and_nothing_is_repeated():
    process = await worked(upto=20)
    before = {topic: process.kafka.values(topic) for topic in TOPICS}
    empty = Process(Fold(), process.kafka, decisions="decisions")
    process.kafka.logs[process.settings.changelog, 0].clear()
    process.kafka.expected.clear()
    [loss] = await found(empty)
    decide(process, loss, loss.resume)

    await empty.begin()
    empty.feed(records(0, 20))
    await empty.idle()

    assert {topic: process.kafka.values(topic) for topic in TOPICS} == before
    assert empty.state.copies[0][b"k"] == process.state.copies[0][b"k"]


async def test_a_lost_end_of_an_output_is_accepted_once():
    process = await worked(upto=20)
    del process.kafka.logs["a", 0][-3:]
    [loss] = await found(process)
    decide(process, loss, loss.resume)

    again = Process(Fold(), process.kafka, process.state, decisions="decisions")
    await again.begin()

    assert await found(again) == []


async def test_a_running_worker_finds_another_record_where_it_read_one():
    process = await worked(upto=50)
    read = {IN: fingerprint(process.kafka.inputs[IN][49])}
    await process.engine.verify(read)
    lose(process, to=38, regrown=records(38, 90, b"7"))

    with pytest.raises(Fatal, match="has grown since"):
        await process.engine.verify(read)


def test_the_marks_stay_few_and_reach_far_back():
    state = MemoryState(MemoryKafka())
    for record in records(0, 30_000):
        state.put_many(0, checkpoint.done_up_to("in", record).items(), record.offset)

    fingerprints = checkpoint.fingerprints(state, 0, "in")

    assert len(fingerprints) <= 24
    assert fingerprints[-1].offset == 29_999
    assert fingerprints[0].offset < 10_000


async def test_long_work_notes_what_it_read_and_wrote():
    process = await worked(upto=3, job=Walk())

    assert [note.offset for _, note in checkpoint.ends(process.state, 0)] == [2]
    assert checkpoint.fingerprints(process.state, 0, "in")[-1].offset == 2


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"{", b"[]", b'{"decision": "accept"}', b'{"decision": "other"}', None),
        *(b"[" * 100_000, b'{"decision": "accept", "loss": "x", "from": 1e999}'),
    ],
)
def test_what_is_no_acceptance_is_passed_over(value):
    assert decisions.acceptance(Record(0, value)) is None
