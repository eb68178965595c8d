import pytest

from models.headers import QUARANTINE_REASON, get
from streams.engine.job import Output, Unavailable
from streams.engine.log.source_header import Sequencer
from streams.engine.work.plan import plan_batch
from tests.unit.engine.fakes import Record
from tests.unit.engine.jobs import Fold


def planned(job, records, *, state=None, written=None, record_bytes_max=100_000):
    return plan_batch(
        job,
        records,
        read=lambda keys: [(state or {}).get(key) for key in keys],
        sequencer=Sequencer("in", 0, written or {}),
        record_bytes_max=record_bytes_max,
    )


def sources(plan, topic):
    return [get(output.headers, "x-source") for output in plan.outputs.get(topic, ())]


class Failing(Fold):
    def __init__(self, error):
        self.error = error

    def apply(self, item, state):
        state.put(b"half", b"done")
        if item[1] == 4:
            raise self.error
        return super().apply(item, state)


def test_a_record_sees_what_earlier_records_of_the_batch_put():
    plan = planned(Fold(), [Record(0, b"1"), Record(1, b"2")], state={b"k": b"7 9"})

    assert plan.changes == {b"k": b"9 2"}


def test_outputs_name_their_source_and_their_number_in_the_topic():
    plan = planned(Fold(), [Record(3, b"2"), Record(4, b"8")])

    assert sources(plan, "a") == [b"in/0/3/0", b"in/0/3/1", b"in/0/4/0", b"in/0/4/1"]


def test_outputs_that_are_written_already_are_left_out_and_their_state_is_still_put():
    plan = planned(Fold(), [Record(3, b"2"), Record(4, b"8")], written={"a": (4, 0)})

    assert (sources(plan, "a"), plan.changes) == ([b"in/0/4/1"], {b"k": b"2 8"})


def test_a_header_of_the_input_does_not_pass_for_our_source():
    job = Fold()
    job.apply = lambda *_: [Output("a", b"k", b"v", [("x-source", b"in/0/99/0"), ("other", b"1")])]

    plan = planned(job, [Record(3, b"2")])

    assert plan.outputs["a"][0].headers == [("other", b"1"), ("x-source", b"in/0/3/0")]


def test_poison_goes_to_quarantine_with_its_bytes_and_its_neighbours_flow_on():
    plan = planned(Fold(), [Record(0, b"1"), Record(1, b"poison", headers=(("h", b"1"),)), Record(2, b"2")])

    assert plan.outputs["quarantine"] == [
        Output(
            "quarantine",
            b"k",
            b"poison",
            [
                ("h", b"1"),
                ("x-quarantine-reason", b"not_json"),
                ("x-quarantine-topic", b"in"),
                ("x-quarantine-partition", b"0"),
                ("x-quarantine-offset", b"1"),
                ("x-quarantine-timestamp", b"1700000000000"),
                ("x-quarantine-attempt", b"1"),
                ("x-source", b"in/0/1/0"),
            ],
        )
    ]
    assert plan.changes == {b"k": b"2 2"}


def test_an_unforeseen_error_of_decode_is_unreadable_and_its_message_is_not_told():
    plan = planned(Fold(), [Record(0, b"Jane Doe")])

    assert get(plan.outputs["quarantine"][0].headers, QUARANTINE_REASON) == b"unreadable"
    assert plan.poison[0].error.startswith("ValueError at jobs.py:")
    assert "Jane" not in plan.poison[0].error


def test_an_unforeseen_error_of_apply_undoes_what_the_record_put():
    plan = planned(Failing(KeyError("Jane Doe")), [Record(0, b"4")])

    assert (plan.changes, plan.poison[0].reason) == ({}, "unprocessable")


@pytest.mark.parametrize("error", [Unavailable(), ConnectionError(), TimeoutError(), MemoryError()])
def test_what_is_not_the_records_fault_is_raised(error):
    with pytest.raises(type(error)):
        planned(Failing(error), [Record(0, b"4")])


def test_an_output_that_fits_no_record_sends_its_input_to_quarantine():
    job = Fold()
    job.apply = lambda *_: [Output("a", b"k", b"x" * 5000)]

    plan = planned(job, [Record(0, b"1")], record_bytes_max=5000)

    assert (plan.poison[0].reason, "a" in plan.outputs) == ("too_large", False)


def test_state_that_fits_no_record_sends_its_input_to_quarantine():
    job = Fold()
    job.apply = lambda _, state: state.put(b"k", b"x" * 5000) or ()

    plan = planned(job, [Record(0, b"1")], record_bytes_max=5000)

    assert (plan.poison[0].reason, plan.changes) == ("too_large", {})


@pytest.mark.parametrize(
    "misuse",
    [
        lambda _, state: state.get(b"undeclared"),
        lambda _, state: state.put(b"\0pos/in", b"1"),
        lambda *_: [Output("elsewhere", b"k", b"v")],
    ],
    ids=["reads an undeclared key", "writes the engine's keys", "writes to an undeclared topic"],
)
def test_a_job_that_breaks_its_promise_quarantines_the_record(misuse):
    job = Fold()
    job.apply = misuse

    plan = planned(job, [Record(0, b"1")])

    assert plan.poison[0].reason == "unprocessable"
