import pytest

from cli.topics import advice, plan
from models.settings import CatalogueSettings

SETTINGS = {"kafka_bootstrap_servers": "kafka:9092", "topic_partitions": 2, "topic_prefix": "m."}


@pytest.fixture
def wanted():
    """Return the plan of an installation, with any setting changed."""

    def build(**changes):
        return plan.wanted(CatalogueSettings(_env_file=None, **(SETTINGS | changes)))

    return build


def as_it_should_be(topics, **changes):
    return {
        topic.name: plan.Found(
            partitions=topic.partitions, replication=topic.replication, config=dict(topic.config) | changes
        )
        for topic in topics
    }


def test_topics_as_they_should_be_have_no_differences(wanted):
    topics = wanted()

    assert plan.differences(topics, as_it_should_be(topics)) == []
    assert plan.missing(topics, as_it_should_be(topics)) == []


@pytest.mark.parametrize(
    ("name", "value", "differs"),
    [
        ("max.message.bytes", "41943041", False),
        ("max.message.bytes", "41943039", True),
        ("retention.ms", "-1", False),
        ("retention.ms", "1", True),
        ("cleanup.policy", "compact,delete", True),
        ("retention.bytes", "-1", False),
        ("retention.bytes", "1073741824000", True),
        ("min.insync.replicas", "1", True),
        ("min.insync.replicas", "3", False),
        ("min.insync.replicas", "4", True),
        ("unclean.leader.election.enable", "true", True),
        ("message.timestamp.type", "CreateTime", True),
        ("segment.bytes", "104857600", False),
        ("segment.bytes", "16777216", True),
    ],
)
def test_more_than_was_promised_is_fine_and_less_or_other_is_not(wanted, name, value, differs):
    [webhooks, *_] = wanted()

    found = plan.differences([webhooks], as_it_should_be([webhooks], **{name: value}))

    assert [each.what for each in found] == ([name] if differs else [])


@pytest.mark.parametrize(("replication", "in_sync"), [(1, "1"), (2, "2"), (3, "2")])
def test_two_copies_must_have_a_record_where_there_are_two(wanted, replication, in_sync):
    [webhooks, *_] = wanted(topic_replication=replication)

    assert webhooks.config.get("min.insync.replicas") == in_sync


@pytest.mark.parametrize(("replication", "flushed"), [(1, ["m.webhooks"]), (2, []), (3, [])])
def test_what_was_received_is_flushed_where_no_other_broker_has_it(wanted, replication, flushed):
    topics = wanted(topic_replication=replication)

    assert [topic.name for topic in topics if "flush.messages" in topic.config] == flushed


@pytest.mark.parametrize(("name", "value"), [("segment.ms", "1"), ("retention.ms", "-1")])
def test_a_segment_may_be_closed_sooner_and_a_record_kept_longer(wanted, name, value):
    admit = next(topic for topic in wanted() if topic.name == "m.patient.admit")

    assert plan.differences([admit], as_it_should_be([admit], **{name: value})) == []


def test_fewer_copies_than_wanted_differ_and_two_in_sync_of_one_copy_cannot_be_mended(wanted):
    [webhooks, *_] = wanted(topic_replication=3)
    one = plan.Found(partitions=2, replication=1, config=dict(webhooks.config) | {"min.insync.replicas": "1"})

    found = {each.what: each.mendable for each in plan.differences([webhooks], {"m.webhooks": one})}

    assert found == {"replication": False, "min.insync.replicas": False}


def test_partitions_beyond_ours_are_told_and_do_no_harm(wanted):
    [webhooks, *_] = wanted()
    more = plan.Found(partitions=5, replication=3, config=dict(webhooks.config))

    differences = plan.differences([webhooks], {"m.webhooks": more})

    assert [each.what for each in differences] == ["partitions"]
    assert plan.harmful(differences) == []
    assert plan.too_few([webhooks], {"m.webhooks": more}) == []


def test_the_topics_behind_the_tables_are_pinned_as_all_others(wanted):
    unpinned = {
        topic.name
        for topic in wanted()
        if topic.config["retention.bytes"] != "-1" or topic.config["unclean.leader.election.enable"] != "false"
    }

    assert unpinned == set()


def test_every_difference_says_what_to_do(wanted):
    topics = wanted(topic_replication=3)
    bare = {topic.name: plan.Found(partitions=1, replication=1, config={}) for topic in topics}

    said = advice.lines(plan.differences(topics, bare))

    assert {line.split(" is ")[0] for line in said} >= {"partitions", "replication", "retention.bytes"}
    assert all(": " in line.split("should be")[1] for line in said)
