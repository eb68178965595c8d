"""Which link is fetched next."""

from hypothesis import given
from hypothesis import strategies as st

from streams.links.limits import FetchLimits
from streams.links.scheduling.schedule import Schedule, Ticket

LIMITS = FetchLimits(
    concurrency=4, concurrency_per_host=3, concurrency_per_patient=2, slow_concurrency=3, slow_concurrency_per_host=2
)


def ticket(id_, deadline_s=100.0, host="h", patient=None, order=0):
    return Ticket(deadline_s, order, id_, host, patient or id_)


def scheduled(*tickets):
    schedule = Schedule(LIMITS)
    for each in tickets:
        schedule.add(each)
    return schedule


def started(schedule, now_s=0.0):
    found = []
    while each := schedule.next(now_s):
        found.append(each.id)
    return found


def test_the_link_that_dies_first_goes_first():
    schedule = scheduled(ticket("c", 30), ticket("a", 10), ticket("b", 20))

    assert started(schedule) == ["a", "b", "c"]


def test_hosts_that_are_done_take_no_memory():
    schedule = scheduled(*(ticket(f"t{number}", host=f"h{number}") for number in range(50)))
    while names := started(schedule):
        for name in names:
            schedule.done(name)

    assert (len(schedule._queues), len(schedule._hosts), len(schedule._patients)) == (0, 0, 0)


def test_a_dead_link_goes_after_those_that_live():
    schedule = scheduled(ticket("dead", 10), ticket("alive", 100))

    assert started(schedule, now_s=50) == ["alive", "dead"]


def test_a_host_does_not_take_all_places():
    schedule = scheduled(*(ticket(f"a{n}", host="a") for n in range(5)), ticket("b", 200, host="b"))

    assert started(schedule) == ["a0", "a1", "a2", "b"]


def test_a_patient_does_not_take_all_places():
    schedule = scheduled(*(ticket(f"a{n}", patient="p") for n in range(5)), ticket("b", 200))

    assert started(schedule) == ["a0", "a1", "b"]


def test_a_place_that_is_free_again_is_given_to_the_next():
    schedule = scheduled(*(ticket(f"a{n}", patient="p") for n in range(4)))
    started(schedule)

    schedule.done("a0")

    assert started(schedule) == ["a2"]


def test_a_slow_link_gives_its_place_to_others_and_goes_on():
    schedule = scheduled(*(ticket(f"a{n}") for n in range(5)))
    started(schedule)

    moved = [schedule.slow("a0"), schedule.slow("a1"), schedule.slow("a2")]

    assert moved == [True, True, False]  # the slow lane has two places per host
    assert started(schedule) == ["a3", "a4"]
    assert schedule.running == 5


def test_a_link_lined_up_twice_starts_once():
    schedule = scheduled(ticket("a"), ticket("a"))

    assert started(schedule) == ["a"]


TICKETS = st.lists(
    st.tuples(st.integers(0, 100), st.sampled_from("hij"), st.sampled_from("pqrs"), st.booleans(), st.integers(0, 5)),
    max_size=60,
)


@given(TICKETS)
def test_every_link_starts_once_within_the_limits(raw):
    tickets = {
        f"{n}": Ticket(float(deadline), n, f"{n}", host, patient) for n, (deadline, host, patient, *_) in enumerate(raw)
    }
    schedule = scheduled(*tickets.values())
    seen, running, fast = [], [], []
    while schedule.waiting or running:
        for id_ in started(schedule, now_s=50.0):
            seen.append(id_)
            running.append(id_)
            fast.append(id_)
        assert len(fast) <= LIMITS.concurrency
        for limit, part in ((LIMITS.concurrency_per_host, 3), (LIMITS.concurrency_per_patient, 4)):
            taken = [tickets[id_][part] for id_ in fast]
            assert all(taken.count(name) <= limit for name in taken)
        assert running, "something must run as long as something waits"
        slow, place = raw[int(running[0])][3:]
        if slow and running[0] in fast and schedule.slow(running[0]):
            fast.remove(running[0])
        ended = running.pop(place % len(running))
        schedule.done(ended)
        fast = [id_ for id_ in fast if id_ != ended]

    assert sorted(seen) == sorted(tickets)
