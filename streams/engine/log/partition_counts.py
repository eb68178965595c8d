"""Checks that every patient has one partition number in every topic: one of TOPIC_PARTITIONS, the same everywhere.

Kafka never takes partitions away, and anybody may add some. Those beyond ours are not used: with them, a patient's
records would move to where its state is not. Decisions only.
"""

from collections.abc import Iterable, Mapping

from streams.engine.fatal import Fatal
from streams.engine.ports import LogPartition


def check(counts: Mapping[str, int], partitions: int) -> None:
    """Raise `Fatal` if a topic has too few partitions."""
    for topic, count in counts.items():
        if not count:
            raise Fatal(f"{topic} is missing. Operator action: metriport-streams topics apply.")
        if count < partitions:
            raise Fatal(
                f"{topic} has {count} partitions, TOPIC_PARTITIONS is {partitions}. Operator action: set it back to "
                "what it was when the topics were made; if this topic alone has fewer and holds nothing, delete it and "
                "run metriport-streams topics apply."
            )


def check_made_with(counts: Iterable[int | None], partitions: int) -> None:
    """Raise `Fatal` if a state was made with another count; None: not known."""
    for made_with in counts:
        if made_with not in {None, partitions}:
            raise Fatal(
                f"TOPIC_PARTITIONS is {partitions}, and this state was made with {made_with}: a patient's state would "
                f"be elsewhere than its records. Operator action: set TOPIC_PARTITIONS to {made_with} in every "
                "process; partitions beyond that do no harm."
            )


def check_begin(partitions: int, *, unread: int) -> None:
    """Raise `Fatal` if a stage without any state would leave records unread."""
    if unread:
        raise Fatal(
            f"TOPIC_PARTITIONS is {partitions}, and {unread} records are in partitions beyond that. Operator action: "
            "set it to what the ingress had when it wrote them."
        )


def beyond(counts: Mapping[str, int], sources: Iterable[str], partitions: int) -> list[LogPartition]:
    """Return the partitions of the sources that are beyond ours, and not read."""
    return [(topic, number) for topic in sources for number in range(partitions, counts.get(topic, 0))]
