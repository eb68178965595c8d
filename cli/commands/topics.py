"""`metriport-streams topics`: the catalogue, created and checked."""

import asyncio
from dataclasses import asdict

import typer

from cli import output
from cli.connection import administration
from cli.output import Json
from cli.topics import kafka, plan
from models.settings import KafkaSettings, load
from models.topics import DAY_MS, Topic

app = typer.Typer(help="The topics of the catalogue.", no_args_is_help=True)


@app.command()
def apply(*, as_json: Json = False) -> None:
    """Create what is missing and check what is there; exit code 1 if something differs. Safe to repeat."""
    created, differences = asyncio.run(_apply(load(KafkaSettings)))
    if as_json:
        output.print_json({"created": created, "differences": [asdict(each) for each in differences]})
    else:
        for name in created:
            output.print_line(f"created {name}")
        for line in _lines(differences):
            output.fail(line)
        output.say(_summary(created, differences))
    raise typer.Exit(1 if differences else 0)


@app.command(name="list")
def list_topics(*, as_json: Json = False) -> None:
    """Show every topic: its key, what it holds, how long that is kept, and its partitions in Kafka."""
    settings = load(KafkaSettings)
    topics = plan.wanted(settings)
    found = asyncio.run(_read(settings, topics))
    rows = [
        {
            "topic": topic.name,
            "key": topic.topic.key,
            "value": topic.topic.value,
            "kept": _kept(topic.topic),
            "partitions": found[topic.name].partitions if topic.name in found else None,
        }
        for topic in topics
    ]
    output.print_rows(("topic", "partitions", "kept", "key", "value"), rows, as_json=as_json)


async def _apply(settings: KafkaSettings) -> tuple[list[str], list[plan.Difference]]:
    topics = plan.wanted(settings)
    names = [topic.name for topic in topics]
    async with administration(settings) as admin:
        before = await kafka.read(admin, names)
        # Nothing is created beside topics with other partition counts: the new ones would not fit them.
        if any(each.what == "partitions" for each in plan.differences(topics, before)):
            return [], plan.differences(topics, before)
        missing = plan.missing(topics, before)
        await kafka.create(admin, missing)
        await kafka.wait_until_visible(admin, names)
        return [topic.name for topic in missing], plan.differences(topics, await kafka.read(admin, names))


async def _read(settings: KafkaSettings, topics: tuple[plan.Wanted, ...]) -> dict[str, plan.Found]:
    async with administration(settings) as admin:
        return await kafka.read(admin, [topic.name for topic in topics])


def _lines(differences: list[plan.Difference]) -> list[str]:
    """Return one line for each kind of difference: a wrong setting shows in every topic at once."""
    topics: dict[tuple[str, str, str], list[str]] = {}
    for each in differences:
        topics.setdefault((each.what, each.found, each.wanted), []).append(each.topic)
    return [
        f"{what} is {found or 'unset'}, should be {wanted}: {names[0]}"
        + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        for (what, found, wanted), names in topics.items()
    ]


def _summary(created: list[str], differences: list[plan.Difference]) -> str:
    if any(each.what == "partitions" for each in differences):
        return "Nothing was created: every topic must have the same number of partitions. Set TOPIC_PARTITIONS to it."
    if differences:
        return f"{len(differences)} differences. Change the topics (kafka-configs.sh) or the settings."
    return f"{len(created)} topics created, all as they should be." if created else "All topics are as they should be."


def _kept(topic: Topic) -> str:
    if topic.compacted:
        return "compacted"
    return "for ever" if topic.retention_ms < 0 else f"{topic.retention_ms // DAY_MS} d"
