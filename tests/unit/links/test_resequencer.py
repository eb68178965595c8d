"""In which order finished links are released."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from streams.links.link import Ended, Link, Outcome
from streams.links.scheduling.resequencer import Resequencer

STORED = Outcome("stored")


def link(name, *, order=0, patient="p", kind="bundle"):
    return Link(
        id=name,
        kind=kind,
        urls=(),
        key=patient,
        source="t/0/0",
        index=0,
        order=order,
        deadline=datetime.now(UTC),
        expects="json",
        record={},
    )


def listed(*links):
    resequencer = Resequencer(order_wait_s=30)
    for each in links:
        resequencer.expect(each)
    return resequencer


def names(released):
    return [ended.link.id for ended in released]


def test_a_bundle_waits_for_an_older_one_of_its_patient():
    first, second = link("first", order=1), link("second", order=2)
    resequencer = listed(second, first)

    assert names(resequencer.finish(Ended(second, STORED), 0)) == []
    assert names(resequencer.finish(Ended(first, STORED), 1)) == ["first", "second"]


def test_a_bundle_does_not_wait_for_another_patient():
    mine, other = link("mine", order=2), link("other", order=1, patient="q")

    assert names(listed(mine, other).finish(Ended(mine, STORED), 0)) == ["mine"]


def test_a_document_waits_for_nobody():
    bundle, document = link("bundle", order=1), link("document", order=2, kind="document")

    assert names(listed(bundle, document).finish(Ended(document, STORED), 0)) == ["document"]


def test_a_bundle_that_waited_too_long_leaves_before_the_older_one():
    first, second = link("first", order=1), link("second", order=2)
    resequencer = listed(first, second)
    resequencer.finish(Ended(second, STORED), 0)

    assert names(resequencer.release_overdue(29)) == []
    assert names(resequencer.release_overdue(30)) == ["second"]
    assert names(resequencer.finish(Ended(first, STORED), 31)) == ["first"]


@given(st.permutations(range(6)))
def test_bundles_are_released_in_the_order_they_came_whatever_is_fetched_first(finished):
    links = [link(f"{number}", order=number) for number in range(6)]
    resequencer = listed(*links)

    left = [name for number in finished for name in names(resequencer.finish(Ended(links[number], STORED), 0))]

    assert left == [f"{number}" for number in range(6)]
