"""`metriport-streams topics`: the catalogue, created and checked."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, NamedTuple

import typer

from cli import local, output
from cli.connection import administration
from cli.output import Json
from cli.topics import advice, kafka, lag, losses, plan
from models.errors import Misconfigured
from models.settings import CatalogueSettings, KafkaSettings, StateTypesSettings, load
from models.topics import DAY_MS, catalogue

app = typer.Typer(
    help="Create, check and show the topics of the service, and go on where one lost records.", no_args_is_help=True
)


class Applied(NamedTuple):
    """What was done, and what is still not as it should be."""

    created: list[str]
    mended: list[str]
    differences: list[plan.Difference]


@app.command()
def apply(
    *,
    mend: Annotated[bool, typer.Option("--mend", help="Set what differs, where that takes no record away.")] = False,
    as_json: Json = False,
) -> None:
    """Create the topics that are missing and check all others; exit code 1 if something differs. Safe to repeat."""
    applied = asyncio.run(_apply(local.load(CatalogueSettings), mend=mend))
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
def list_topics(
    *,
    groups: Annotated[
        bool,
        typer.Option("--groups", help="Show who reads each topic, and how many records each group has before it."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show every topic: its partitions, how long records are kept, what is not as it should be, what it holds."""
    settings = local.load(CatalogueSettings)
    topics = plan.wanted(settings)
    found, lags = asyncio.run(_read(settings, topics, with_lags=groups))
    differs = plan.by_topic(plan.differences(topics, found))
    rows = [
        {
            "topic": topic.name,
            "partitions": found[topic.name].partitions if topic.name in found else None,
            "kept": _kept(found.get(topic.name, topic).config),
            "differs": ", ".join(sorted(differs[topic.name])) if topic.name in found else "not there",
            "key": topic.topic.key,
            "value": topic.topic.value,
        }
        for topic in topics
    ]
    if not groups:
        output.print_rows(("topic", "partitions", "kept", "differs", "key", "value"), rows, as_json=as_json)
    elif as_json:
        groups_of = defaultdict(list)
        for each in lags:
            groups_of[each.topic].append({"group": each.group, "lag": each.records})
        output.print_json([row | {"groups": groups_of[str(row["topic"])]} for row in rows])
    else:
        by_group = [{"topic": each.topic, "lag": each.records, "group": each.group} for each in lags]
        output.print_rows(("topic", "lag", "group"), by_group, as_json=False)
        if not lags:
            output.say("No consumer group has committed anything of these topics.")


@app.command()
def accept(
    places: Annotated[
        list[str] | None,
        typer.Argument(metavar="TOPIC[/PARTITION]", help="Where losses are accepted, such as webhooks/3."),
    ] = None,
    *,
    start: Annotated[
        int | None, typer.Option("--from", min=0, help="Offset to go on from; where the logs part if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let the stages go on where a topic lost records; without a topic only show what was lost.

    Reading begins again where the log and the one that was read part, as far as that can be told. A stage that lost
    its state reads again what is there; what it finds in its own topics it does not repeat.
    """
    overrides = local.overrides()
    settings = load(KafkaSettings, **overrides)
    try:
        named = [losses.place(each, settings.topic_prefix) for each in places or ()]
    except ValueError:
        raise Misconfigured("A place is TOPIC or TOPIC/PARTITION, such as webhooks/3.") from None
    _must_be_ours(named, settings)
    rows = asyncio.run(_accept(settings, losses.readers(**overrides), named, start))
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


def _must_be_ours(named: Sequence[losses.Place], settings: KafkaSettings) -> None:
    """Raise `Misconfigured` for a place that no stage reads or writes: there, nothing can be said to be lost."""
    known = [topic.name for topic in catalogue(load(StateTypesSettings).fhir_state_types)]
    for each in named:
        if each.topic.removeprefix(settings.topic_prefix) not in known:
            raise Misconfigured(advice.no_topic(each.topic, prefix=settings.topic_prefix, catalogue=known, there=()))
        if each.partition is not None and each.partition >= settings.topic_partitions:
            raise Misconfigured(f"{each.topic} has the partitions 0 to {settings.topic_partitions - 1}.")


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


async def _read(
    settings: CatalogueSettings, topics: tuple[plan.Wanted, ...], *, with_lags: bool
) -> tuple[dict[str, plan.Found], list[lag.Lag]]:
    names = [topic.name for topic in topics]
    async with administration(settings) as admin:
        found = await kafka.read(admin, names)
        return found, await lag.read(admin, settings, found) if with_lags else []


def _summary(applied: Applied) -> str:
    if plan.harmful(applied.differences):
        can = sum(each.mendable for each in applied.differences)
        return f"{len(applied.differences)} differences, of which `topics apply --mend` can set {can}."
    if not applied.created and not applied.mended:
        return "All topics are as they should be."
    return f"{len(applied.created)} topics created, {len(applied.mended)} mended, all as they should be."


def _kept(config: Mapping[str, str]) -> str:
    """Return how long Kafka keeps a topic's records, in its own units of time."""
    if "compact" in config.get("cleanup.policy", ""):
        return "compacted"
    ms = int(config.get("retention.ms") or -1)
    if ms < 0:
        return "for ever"
    for unit, unit_ms in (("d", DAY_MS), ("h", DAY_MS // 24), ("min", 60_000), ("s", 1000)):
        if ms >= unit_ms and not ms % unit_ms:
            return f"{ms // unit_ms} {unit}"
    return f"{ms} ms"
