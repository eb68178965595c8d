"""`metriport-streams topics`: the catalogue, created and checked."""

import asyncio
from dataclasses import asdict
from typing import Annotated, NamedTuple

import typer

from cli import output
from cli.connection import administration
from cli.output import Json
from cli.topics import advice, kafka, losses, plan
from models.errors import Misconfigured
from models.settings import CatalogueSettings, KafkaSettings, load
from models.topics import DAY_MS, Topic

app = typer.Typer(help="The topics of the catalogue.", no_args_is_help=True)


class Applied(NamedTuple):
    """What was done, and what is still not as it should be."""

    created: list[str]
    mended: list[str]
    differences: list[plan.Difference]


@app.command()
def apply(
    *,
    mend: Annotated[bool, typer.Option("--mend", help="Set what can be set without taking a record away.")] = False,
    as_json: Json = False,
) -> None:
    """Create what is missing and check what is there; exit code 1 if something differs. Safe to repeat."""
    applied = asyncio.run(_apply(load(CatalogueSettings), mend=mend))
    if as_json:
        output.print_json(applied._asdict() | {"differences": [asdict(each) for each in applied.differences]})
    else:
        for name in applied.created:
            output.print_line(f"created {name}")
        for name in applied.mended:
            output.print_line(f"mended {name}")
        for line in advice.lines(applied.differences):
            output.fail(line)
        output.say(_summary(applied))
    raise typer.Exit(1 if plan.harmful(applied.differences) else 0)


@app.command(name="list")
def list_topics(*, as_json: Json = False) -> None:
    """Show every topic: its key, what it holds, how long that is kept, and its partitions in Kafka."""
    settings = load(CatalogueSettings)
    topics = plan.wanted(settings)
    found = asyncio.run(_read(settings, topics))
    differs = plan.by_topic(plan.differences(topics, found))
    rows = [
        {
            "topic": topic.name,
            "key": topic.topic.key,
            "value": topic.topic.value,
            "kept": _kept(topic.topic),
            "partitions": found[topic.name].partitions if topic.name in found else None,
            "differs": ", ".join(sorted(differs[topic.name])),
        }
        for topic in topics
    ]
    output.print_rows(("topic", "partitions", "differs", "kept", "key", "value"), rows, as_json=as_json)


@app.command()
def accept(
    places: Annotated[list[str] | None, typer.Argument(metavar="[TOPIC[/PARTITION]]...")] = None,
    *,
    start: Annotated[int | None, typer.Option("--from", min=0, help="The offset to go on from.")] = None,
    as_json: Json = False,
) -> None:
    """Let the stages go on where a topic lost records; without a topic only show what was lost.

    Reading begins again where the log and the one that was read part, as far as that can be told. A stage that lost
    its state reads again what is there; what it finds in its own topics it does not repeat.
    """
    settings = load(KafkaSettings)
    try:
        named = [losses.place(each, settings.topic_prefix) for each in places or ()]
    except ValueError:
        raise Misconfigured("A place is TOPIC or TOPIC/PARTITION, such as webhooks/3.") from None
    rows = asyncio.run(_accept(settings, losses.readers(), named, start))
    if as_json:
        output.print_json(rows)
    else:
        for row in rows:
            (output.print_line if named else output.fail)(
                f"{row['stage']}: {row['topic']}/{row['partition']}: {row['says']}"
            )
            output.print_line(f"  {'goes on' if named else 'would go on'} from {row['from']}")
        output.say(_accepted(rows, named=bool(named)))
    raise typer.Exit(1 if rows and not named else 0)


async def _accept(
    settings: KafkaSettings, readers: list[losses.Reader], named: list[losses.Place], start: int | None
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    async with administration(settings):
        for reader in readers:
            for loss in await losses.lost(reader, named):
                going_on = loss.resume if start is None else start
                if named:
                    await losses.accept(settings, reader.settings.stage, loss, going_on)
                rows.append(
                    {
                        "stage": reader.settings.stage,
                        "topic": loss.topic,
                        "partition": loss.partition,
                        "says": loss.says,
                        "from": going_on,
                        "accepted": bool(named),
                    }
                )
    return rows


def _accepted(rows: list[dict[str, object]], *, named: bool) -> str:
    if not rows:
        return "Nothing is lost that a stage has read or written."
    if named:
        return f"{len(rows)} losses accepted; it is told in `audit`. The stages go on within seconds."
    return f"{len(rows)} losses. `metriport-streams topics accept TOPIC/PARTITION` goes on from what is there."


async def _apply(settings: CatalogueSettings, *, mend: bool) -> Applied:
    topics = plan.wanted(settings)
    names = [topic.name for topic in topics]
    async with administration(settings) as admin:
        before = await kafka.read(admin, names)
        # Nothing is created beside topics with other partition counts: the new ones would not fit them.
        if plan.too_few(topics, before):
            return Applied([], [], plan.differences(topics, before))
        missing = plan.missing(topics, before)
        await kafka.create(admin, missing)
        await kafka.wait_until_visible(admin, names)
        there = await kafka.read(admin, names)
        changes = plan.mended(there, plan.differences(topics, there)) if mend else {}
        await kafka.change(admin, changes)
        found = await kafka.read(admin, names) if changes else there
        return Applied([topic.name for topic in missing], list(changes), plan.differences(topics, found))


async def _read(settings: KafkaSettings, topics: tuple[plan.Wanted, ...]) -> dict[str, plan.Found]:
    async with administration(settings) as admin:
        return await kafka.read(admin, [topic.name for topic in topics])


def _summary(applied: Applied) -> str:
    if plan.harmful(applied.differences):
        can = sum(each.mendable for each in applied.differences)
        return f"{len(applied.differences)} differences, of which `topics apply --mend` can set {can}."
    if not applied.created and not applied.mended:
        return "All topics are as they should be."
    return f"{len(applied.created)} topics created, {len(applied.mended)} mended, all as they should be."


def _kept(topic: Topic) -> str:
    if topic.compacted:
        return "compacted"
    return "for ever" if topic.retention_ms < 0 else f"{topic.retention_ms // DAY_MS} d"
