"""What to do about topics that are not as they should be, in sentences. Pure."""

from collections.abc import Collection, Sequence

from cli import near
from cli.topics.plan import Difference

_BY_HAND = {
    "replication": "add copies with Kafka's kafka-reassign-partitions.sh, or set TOPIC_REPLICATION to what there is",
    "min.insync.replicas": "there are fewer copies than that: add copies first",
    "cleanup.policy": "setting it would take records away: keep what you need, then use Kafka's kafka-configs.sh",
}


def lines(differences: Sequence[Difference]) -> list[str]:
    """Return one line for each kind of difference: a wrong setting shows in every topic at once."""
    topics: dict[tuple[str, str, str, str], list[str]] = {}
    for each in differences:
        topics.setdefault((each.what, each.found, each.wanted, _what_to_do(each)), []).append(each.topic)
    return [
        f"{what} is {found or 'unset'}, should be {wanted}: {names[0]}"
        + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        + f": {what_to_do}."
        for (what, found, wanted, what_to_do), names in topics.items()
    ]


def no_topic(name: str, *, prefix: str, catalogue: Collection[str], there: Collection[str]) -> str:
    """Return a sentence about a topic that is not there, by its full name; `catalogue` has no prefixes."""
    short = name.removeprefix(prefix)
    if short in catalogue:
        if not any(each.startswith(prefix) for each in there):
            nor = f"nor any other that begins with {prefix}" if prefix else "nor any other"
            return f"There is no topic {name}, {nor}: run `topics apply`, or set TOPIC_PREFIX to what they begin with."
        return f"There is no topic {name}. `metriport-streams topics apply` creates it."
    meant = near.question(short, [*catalogue, *(each.removeprefix(prefix) for each in there)])
    return f"There is no topic {name}.{meant} `metriport-streams topics list` shows them all."


def _what_to_do(difference: Difference) -> str:
    if difference.mendable:
        return "`topics apply --mend` sets it"
    if difference.what == "partitions":
        return partitions(int(difference.found), int(difference.wanted))
    return _BY_HAND[difference.what]


def partitions(found: int, wanted: int) -> str:
    """Return what to do about a topic with another partition count than TOPIC_PARTITIONS."""
    if found > wanted:
        return (
            f"those from {wanted} on are not used and do no harm, Kafka cannot take them away; leave TOPIC_PARTITIONS "
            "as it is: the patients' places depend on it"
        )
    return (
        "set TOPIC_PARTITIONS back to what it was when the topics were made; if this topic alone has fewer and holds "
        "nothing, delete it with Kafka's kafka-topics.sh and run `topics apply` again"
    )
