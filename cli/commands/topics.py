"""`metriport-streams topics`: the catalogue, created and checked."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from cli import output
from cli.connection import administration
from cli.output import Json
from cli.topics import kafka, losses, plan
from models.errors import Misconfigured
from models.settings import KafkaSettings, WorkerSettings, load
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
    settings = load(WorkerSettings)
    try:
        named = [losses.place(each, settings.topic_prefix) for each in places or ()]
    except ValueError:
        raise Misconfigured("A place is TOPIC or TOPIC/PARTITION, such as webhooks/3.") from None
    rows = asyncio.run(_accept(settings, losses.readers(settings), named, start))
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
    settings: WorkerSettings, readers: list[losses.Reader], named: list[losses.Place], start: int | None
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
