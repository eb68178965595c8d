import pytest
from aiokafka import TopicPartition

from cli.topics import advice, lag
from models.topics import catalogue

KNOWN = [topic.name for topic in catalogue()]
THERE = ["m.webhooks", "m.patients", "m.mine"]


@pytest.mark.parametrize(
    ("given", "meant"), [("patiens", "patients"), ("fhir.change", "fhir.changes"), ("min", "mine")]
)
def test_a_mistyped_topic_is_answered_with_what_may_be_meant(given, meant):
    said = advice.no_topic(f"m.{given}", prefix="m.", catalogue=KNOWN, there=THERE)

    assert f"Did you mean {meant}" in said
    assert "topics apply" not in said


def test_a_topic_of_the_catalogue_is_created_by_apply():
    assert "topics apply` creates it" in advice.no_topic("m.bundles", prefix="m.", catalogue=KNOWN, there=THERE)


def test_where_no_topic_has_the_prefix_it_may_be_another():
    assert "TOPIC_PREFIX" in advice.no_topic("m.bundles", prefix="m.", catalogue=KNOWN, there=["x.bundles"])


def test_a_group_is_behind_by_what_it_has_not_committed():
    a0, a1, b0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)

    found = lag.behind(
        {"one": {a0: 5, a1: 10}, "two": {a0: 7, b0: -1}},
        begins={a0: 6, a1: 0, b0: 0},
        ends={a0: 8, a1: 10, b0: 9},
    )

    # "one" was overtaken by retention in a/0; "two" has committed nothing of a/1, so all of that is before it.
    assert found == [lag.Lag("a", "one", 2), lag.Lag("a", "two", 11)]
