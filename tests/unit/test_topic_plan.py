import pytest

from cli.topics import plan
from models.settings import KafkaSettings

SETTINGS = {"kafka_bootstrap_servers": "kafka:9092", "topic_partitions": 2, "topic_prefix": "m."}


@pytest.fixture
def wanted():
    """Return the plan of an installation, with any setting changed."""

    def build(**changes):
        return plan.wanted(KafkaSettings(_env_file=None, **(SETTINGS | changes)))

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
    ],
)
def test_more_than_was_promised_is_fine_and_less_or_other_is_not(wanted, name, value, differs):
    [webhooks, *_] = wanted()

    found = plan.differences([webhooks], as_it_should_be([webhooks], **{name: value}))

    assert [each.what for each in found] == ([name] if differs else [])


@pytest.mark.parametrize(("replication", "in_sync"), [(1, None), (2, None), (3, "2")])
def test_three_copies_need_two_that_have_the_record(wanted, replication, in_sync):
    [webhooks, *_] = wanted(topic_replication=replication)

    assert webhooks.config.get("min.insync.replicas") == in_sync


@pytest.mark.parametrize(("replication", "flushed"), [(1, ["m.webhooks"]), (2, []), (3, [])])
def test_what_was_received_is_flushed_where_no_other_broker_has_it(wanted, replication, flushed):
    topics = wanted(topic_replication=replication)

    assert [topic.name for topic in topics if "flush.messages" in topic.config] == flushed
