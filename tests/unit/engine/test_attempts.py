"""A record whose own work ends the process goes to quarantine, and nothing else does, whoever dies beside it."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.headers import get
from streams.engine.crashes import memory_kills
from streams.engine.crashes.memory_kills import Kills
from streams.engine.crashes.work_file import WorkFile
from streams.engine.job import Unavailable
from tests.unit.engine.fakes import Crash, MemoryKafka, Process, Record
from tests.unit.engine.jobs import Fold, Walk


class Killed(BaseException):
    """Nothing more of this process happens."""


class Costly(Fold):
    """Value 13 ends the process, in the way it is told."""

    def __init__(self, error):
        self.error = error

    def apply(self, item, state):
        if item[1] == 13:
            raise self.error
        return super().apply(item, state)


class Lives:
    """One host after another: each life of the stage begins where the one before it ended."""

    def __init__(self, tmp_path, job, values, *, explain=True, **changed):
        self.kafka = MemoryKafka()
        self.path = tmp_path / "work"
        self.job = job
        self.records = [Record(offset, value) for offset, value in enumerate(values)]
        self.explain = explain
        self.changed = changed
        self.lives = 0

    async def live(self, *, moved=False) -> bool:
        """Live once; return whether all of it was done. On another host there are no work_file."""
        self.lives += 1
        if moved:
            self.path = self.path.with_name(f"work_file-{self.lives}")
        work_file = WorkFile(self.path)
        process = Process(self.job, self.kafka, work_file=work_file, **self.changed)
        await process.begin()
        process.feed(self.records)
        ends = await asyncio.gather(*process.engine._turns, return_exceptions=True)
        if any(isinstance(end, Killed) for end in ends):
            return False
        if process.ended and self.explain:
            work_file.close()
        return not process.ended

    async def until_done(self, most=20, **how) -> int:
        for _ in range(most):
            if await self.live(**how):
                return self.lives
        raise AssertionError("never done")

    def reasons(self):
        rows = self.kafka.logs["quarantine", 0]
        return [(row.value, get(row.headers, "x-quarantine-reason")) for row in rows]


NEIGHBOURS = [b"%d" % number for number in (1, 2, 3, 4, 5, 6, 7)]
VALUES = [*NEIGHBOURS[:4], b"13", *NEIGHBOURS[4:]]


def folded(values):
    return {
        topic: [b"%d.%d" % (n, copy) for n in map(int, values) if n % 2 == parity for copy in range(n % 3)]
        for parity, topic in enumerate(Fold.outputs)
    }


@pytest.fixture(autouse=True)
def kills(monkeypatch):
    """How often the system killed for memory: no more than it says here."""
    found = [0]
    monkeypatch.setattr(memory_kills, "read", lambda: Kills(found[0], "/group"))
    return found


async def test_a_record_whose_own_error_ends_the_process_twice_is_in_quarantine_and_its_neighbours_are_out(tmp_path):
    stage = Lives(tmp_path, Costly(MemoryError()), VALUES)

    assert await stage.until_done() == 3
    assert stage.reasons() == [(b"13", b"too_costly")]
    assert {topic: stage.kafka.values(topic) for topic in Fold.outputs} == folded(NEIGHBOURS)


@pytest.mark.parametrize("error", [Unavailable(), ConnectionError(), TimeoutError()])
async def test_an_outage_never_counts(tmp_path, error):
    stage = Lives(tmp_path, Costly(error), VALUES)

    assert not any([await stage.live() for _ in range(8)])
    assert stage.reasons() == []
    assert not any(key.startswith(b"\0try") for key in keys(stage))


async def test_a_death_that_nobody_explains_counts_from_the_fifth_on(tmp_path):
    stage = Lives(tmp_path, Costly(MemoryError()), VALUES, explain=False)
    stage.job.apply = killing(stage)

    assert await stage.until_done() == 6
    assert stage.reasons() == [(b"13", b"too_costly")]
    assert {topic: stage.kafka.values(topic) for topic in Fold.outputs} == folded(NEIGHBOURS)


async def test_deaths_count_although_each_one_is_on_another_host(tmp_path):
    stage = Lives(tmp_path, Costly(MemoryError()), VALUES, explain=False)
    stage.job.apply = killing(stage)

    assert await stage.until_done(moved=True) == 6
    assert stage.reasons() == [(b"13", b"too_costly")]


async def test_a_kill_for_memory_is_the_records_own_doing_when_it_alone_was_in_work(tmp_path, kills):
    stage = Lives(tmp_path, Costly(MemoryError()), VALUES, explain=False)
    stage.job.apply = killing(stage, kills)

    assert await stage.until_done() == 3
    assert stage.reasons() == [(b"13", b"too_costly")]


async def test_a_process_that_is_told_to_stop_again_and_again_counts_nothing(tmp_path):
    stage = Lives(tmp_path, Walk(wait=lambda *_: asyncio.sleep(3600)), [b"3"])
    for _ in range(8):
        work_file = WorkFile(stage.path)
        process = Process(stage.job, stage.kafka, work_file=work_file)
        await process.begin()
        process.feed(stage.records)
        await asyncio.sleep(0)
        work_file.close()
        await process.engine.revoked()
        await process.idle()

    stage.job = Walk()
    assert await stage.live()
    assert stage.reasons() == []
    assert stage.kafka.values("a") == [b"0.0", b"0.1", b"0.2"]


async def test_a_record_that_is_done_at_last_is_forgotten(tmp_path):
    stage = Lives(tmp_path, Costly(MemoryError()), VALUES)
    await stage.live()
    stage.job = Fold()

    assert await stage.live()
    assert next(row.value for row in stage.kafka.logs["test-state-changelog", 0] if row.key == b"\0try/in/in")
    assert not any(key.startswith(b"\0try") for key in keys(stage))
    assert stage.reasons() == []


async def test_a_record_with_outputs_written_is_finished_and_never_quarantined(tmp_path):
    async def wait(_, step):
        if step == 2 and stage.lives < 7:
            raise MemoryError

    stage = Lives(tmp_path, Walk(wait=wait), [b"1", b"4", b"1"])

    assert await stage.until_done() == 7
    assert stage.reasons() == []
    assert stage.kafka.values("a") == [b"0.0", b"1.0", b"1.1", b"1.2", b"1.3", b"2.0"]


async def test_long_work_that_ends_the_process_before_its_first_output_is_in_quarantine(tmp_path):
    async def wait(record, _):
        if record.offset == 1:
            raise MemoryError

    stage = Lives(tmp_path, Walk(wait=wait), [b"1", b"4", b"1"])

    assert await stage.until_done() == 3
    assert stage.reasons() == [(b"4", b"too_costly")]
    assert stage.kafka.values("a") == [b"0.0", b"2.0"]


async def test_what_is_suspected_works_alone(tmp_path):
    running, together, both = set(), [], asyncio.Event()

    async def wait(record, _):
        running.add(record.partition)
        together.append(len(running))
        if len(running) == 2:
            both.set()
        if life < 2:
            await both.wait()
            raise Killed
        await asyncio.sleep(0)
        running.discard(record.partition)

    kafka = MemoryKafka()
    for life in range(3):  # noqa: B007 - `wait` reads it
        running.clear()
        together.clear()
        both.clear()
        process = Process(Walk(wait=wait), kafka, work_file=WorkFile(tmp_path / "work"), partitions=2)
        await process.begin(0, 1)
        for partition in (0, 1):
            process.feed([Record(0, b"3", partition=partition), Record(1, b"3", partition=partition)])
        await process.idle()

    # The two that were begun both times; what is behind them has nobody to be feared.
    assert together[:6] == [1] * 6


async def test_listed_work_is_counted_by_its_own_name_until_it_is_off_the_list(tmp_path):
    kafka, told = MemoryKafka(), []
    for _ in range(3):
        work_file = WorkFile(tmp_path / "work")
        process = Process(Fold(), kafka, work_file=work_file)
        await process.begin()
        told.append([process.engine.is_too_costly(0, name) for name in (b"l/good", b"l/handled", b"l/bad")])
        async with process.engine.attempt(0, b"l/good"):
            pass
        with pytest.raises(RuntimeError):
            async with process.engine.attempt(0, b"l/handled"):
                raise RuntimeError
        if not told[-1][2]:
            await process.engine.attempt(0, b"l/bad").__aenter__()  # and this is where the process ends
            process.engine.blame(asyncio.get_running_loop())
        work_file.close()
    await process.engine.complete(0, [], {b"l/bad": None})

    assert told == [[False] * 3, [False] * 3, [False, False, True]]
    assert not any(key.startswith(b"\0try") for key in process.state.copies[0])


async def test_the_watchdog_blames_what_runs_on_a_loop_that_does_not_turn(tmp_path):
    blamed = []

    class Blocking(Fold):
        def apply(self, item, state):
            if item[1] == 13 and not blamed:
                blamed.append(process.engine.blame(asyncio.get_running_loop()))
                raise Killed
            return super().apply(item, state)

    for _ in range(2):
        process = Process(Blocking(), MemoryKafka(), work_file=WorkFile(tmp_path / "work"))
        await process.begin()
        process.feed([Record(0, b"13")])
        await process.idle()

    assert process.state.copies[0].get(b"\0try/in/in") is None  # other logs: it is done
    assert blamed == [None]


def keys(stage) -> set[bytes]:
    live = {}
    for row in stage.kafka.logs["test-state-changelog", 0]:
        live[row.key] = row.value
    return {key for key, value in live.items() if value is not None}


def killing(stage, kills=None):
    """Return an `apply` that kills the process at value 13, as the system would."""

    def apply(item, state):
        if item[1] == 13:
            if kills:
                kills[0] += 1
            raise Killed
        return Fold.apply(stage.job, item, state)

    return apply


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([b"1", b"2", b"3", b"4", b"5", b"poison"]), min_size=1, max_size=9),
    st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(1, 4)), max_size=4),
)
def test_up_to_four_unexplained_deaths_in_a_row_cost_no_record_whatever_they_met(tmp_path_factory, values, lives):
    stage = Lives(tmp_path_factory.mktemp("lives"), Fold(), values, explain=False)

    async def run():
        for effects, moved, _ in lives:
            stage.kafka.effects_left = effects
            try:
                await stage.live(moved=moved)
            except Crash:
                continue
        stage.kafka.effects_left = None
        assert await stage.live()

    asyncio.run(run())
    assert stage.kafka.values("quarantine") == [value for value in values if value == b"poison"]
    assert {topic: stage.kafka.values(topic) for topic in Fold.outputs} == folded(
        [value for value in values if value != b"poison"]
    )
