"""Which Kafka this machine can run, in the order of how much it is worth."""

from cli.broker.docker import Docker
from cli.broker.errors import NoSource
from cli.broker.jars import Jars
from cli.broker.launch import Source
from cli.broker.mock import Mock


def sources() -> list[Source]:
    """Return every way to get a Kafka, the best first."""
    return [Jars(), Docker(), Mock()]


def best() -> Source:
    """Return the first source that this machine has what it takes for."""
    for source in sources():
        if source.available():
            return source
    raise NoSource(
        "No Kafka can be started here. Install Java 17 and Maven (apt-get install openjdk-17-jre-headless maven), "
        "or Docker, or the confluent-kafka package, which has a mock to try things out; "
        "or point KAFKA_BOOTSTRAP_SERVERS at a Kafka that runs."
    )
