"""Topics with which the worker must not start."""

from cli.topics import check, plan
from models.settings import CatalogueSettings

SETTINGS = CatalogueSettings(kafka_bootstrap_servers="none:1", topic_partitions=4, topic_replication=1)
WANTED = plan.wanted(SETTINGS)
FOUND = {topic.name: plan.Found(partitions=4, replication=1, config={}) for topic in WANTED}


def test_topics_that_fit_are_no_trouble():
    assert check.sentence(WANTED, FOUND, 4) is None


def test_a_missing_topic_is_named_with_the_command_that_makes_it():
    found = {name: topic for name, topic in FOUND.items() if not name.endswith("webhooks")}

    assert "metriport.webhooks among them. Run: metriport-streams topics apply" in check.sentence(WANTED, found, 4)


def test_a_topic_with_fewer_partitions_is_named_with_both_counts():
    found = FOUND | {"metriport.patients": plan.Found(partitions=3, replication=1, config={})}

    told = check.sentence(WANTED, found, 4)

    assert "metriport.patients has 3 partitions, TOPIC_PARTITIONS is 4" in told


def test_a_topic_with_more_partitions_is_no_trouble():
    found = FOUND | {"metriport.patients": plan.Found(partitions=6, replication=1, config={})}

    assert check.sentence(WANTED, found, 4) is None
