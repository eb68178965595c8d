"""Whether the topics are there and fit each other: asked before the worker starts."""

from cli.connection import administration
from cli.topics import advice, kafka, plan
from models.settings import CatalogueSettings


async def trouble(settings: CatalogueSettings) -> str | None:
    """Return a sentence on why the worker must not start with these topics, None if it may.

    Raise `Unreachable` if no Kafka answers.
    """
    wanted = plan.wanted(settings)
    async with administration(settings) as admin:
        found = await kafka.read(admin, [topic.name for topic in wanted])
    return sentence(wanted, found, settings.topic_partitions)


def sentence(wanted: tuple[plan.Wanted, ...], found: dict[str, plan.Found], partitions: int) -> str | None:
    """Return what is wrong: a patient has one partition number everywhere, so counts must be equal."""
    if missing := plan.missing(wanted, found):
        return f"{len(missing)} topics are missing, {missing[0].name} among them. Run: metriport-streams topics apply"
    if small := plan.too_few(wanted, found):
        count = found[small[0]].partitions
        what_to_do = advice.partitions(count, partitions)
        return f"{small[0]} has {count} partitions, TOPIC_PARTITIONS is {partitions}: {what_to_do}."
    return None
