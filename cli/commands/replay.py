"""`metriport-streams replay`: records sent again into a topic of the reader's own. A plan first, then what it says."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli import audit, local, output
from cli.moments import moment
from cli.output import Json
from cli.replay import plan as plans
from cli.replay import planning, sending
from cli.replay.plan import Plan
from cli.replay.selection import Place, Selection
from models.errors import Misconfigured
from models.settings import KafkaSettings

app = typer.Typer(
    help="Send records again, into a topic of the reader's own: a plan first, then what it says.", no_args_is_help=True
)

_TIME = "with a zone, 2026-11-25T09:00Z, or how long ago: 30m, 12h, 7d."


@app.command()
def plan(
    topics: Annotated[
        list[str], typer.Argument(metavar="TOPIC", help="Topics of the service, with the prefix or without.")
    ],
    *,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help=f"Received then or later; {_TIME}")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help=f"Received before; {_TIME}")] = None,
    kind: Annotated[
        str | None, typer.Option("--type", help="Only records with this `ce_type`, such as patient.admit.")
    ] = None,
    patient: Annotated[
        str | None, typer.Option("--patient", metavar="ID", help="Only records about this patient.")
    ] = None,
    message_id: Annotated[str | None, typer.Option("--message-id", metavar="ID", help="Only of this message.")] = None,
    request_id: Annotated[str | None, typer.Option("--request-id", metavar="ID", help="Only of this request.")] = None,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="Only what came from quarantine.")] = False,
    missing_in: Annotated[
        str | None, typer.Option("--missing-in", metavar="TOPIC", help="Only what that topic lacks, by `ce_id`.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TOPIC/PARTITION/OFFSET", help="Received when this record was, or later."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to write the plan.")] = None,
    as_json: Json = False,
) -> None:
    """Count what would be sent, and write it down as a plan; exit code 1 if that is nothing."""
    settings, now = local.load(KafkaSettings), datetime.now(UTC)
    prefix = settings.topic_prefix
    selection = Selection(
        begin=None if begin is None else moment(begin, now=now),
        end=None if until is None else moment(until, now=now),
        type=kind,
        patient_id=patient,
        message_id=message_id,
        request_id=request_id,
        quarantined=quarantined,
        since=None if since is None else _place(since, prefix),
        missing_in=missing_in,
    )
    names = list(dict.fromkeys(_full(topic, prefix) for topic in topics))
    with _bar("Reading", None) as told:
        made = asyncio.run(planning.make(settings, names, selection, told=told))
    if made.records:
        path = out or Path(f"replay-{made.plan_id}.json")
        plans.write(made, path)
    _show(made, as_json=as_json)
    if not made.records:
        output.say("Nothing of this is there, so there is no plan.")
        raise typer.Exit(1)
    output.say(f"Look at {path}, then: metriport-streams replay apply {path} --to YOUR.TOPIC")


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A plan that `replay plan` has written.")],
    *,
    to: Annotated[str, typer.Option("--to", metavar="TOPIC", help="A topic of yours, by its full name.")],
    rate: Annotated[float | None, typer.Option("--rate", min=0.1, help="Records per second, at most.")] = None,
    at_most: Annotated[int | None, typer.Option("--max", min=1, help="Records that this run sends, at most.")] = None,
    as_json: Json = False,
) -> None:
    """Send what a plan says, each record once; the same command goes on where one ended. Read it with read_committed.

    Exit code 1 if something is left to send.
    """
    settings, made = local.load(KafkaSettings), plans.read(file)
    if made.topic_prefix != settings.topic_prefix:
        raise Misconfigured(
            f"The plan is for TOPIC_PREFIX={made.topic_prefix}, and here it is {settings.topic_prefix}."
        )
    if made.code_version != version("metriport-streams"):
        output.say(f"The plan was made by version {made.code_version}, this is {version('metriport-streams')}.")
    progress = sending.Progress(planned=made.records)
    command = f"replay apply --to {to}"
    asyncio.run(audit.tell(settings, command, f"plan {made.plan_id}: {made.records} records, begun", stage=None))
    try:
        with _bar("Sending", made.records) as told:
            asyncio.run(sending.apply(settings, made, to, progress, rate=rate, at_most=at_most, told=told))
    except sending.Superseded:
        output.fail("Another run of this plan has taken over; this one has ended.")
        raise typer.Exit(1) from None
    finally:
        _tell(progress, as_json=as_json)
    said = f"plan {made.plan_id}: {progress.now} records sent, {progress.sent} of {made.records} in all"
    asyncio.run(audit.tell(settings, command, said, stage=None))
    raise typer.Exit(0 if progress.sent == made.records else 1)


def _tell(progress: sending.Progress, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"planned": progress.planned, "sent": progress.sent, "now": progress.now})
    else:
        output.say(f"{progress.now} records sent; {progress.sent} of {progress.planned} in all.")


def _show(made: Plan, *, as_json: bool) -> None:
    if as_json:
        output.print_json(made.model_dump(mode="json", by_alias=True, exclude_none=True))
        return
    rows = [{"topic": topic, "records": count} for topic, count in made.topics().items()]
    output.print_rows(("topic", "records"), rows, as_json=False)
    output.say(f"{made.records} records, {made.value_bytes} bytes.")


def _full(topic: str, prefix: str) -> str:
    return topic if topic.startswith(prefix) else prefix + topic


def _place(text: str, prefix: str) -> Place:
    try:
        topic, partition, offset = text.rsplit("/", 2)
        return Place(topic=_full(topic, prefix), partition=int(partition), offset=int(offset))
    except ValueError:
        raise Misconfigured(f"{text!r} is no record; write TOPIC/PARTITION/OFFSET, as `x-source` does.") from None


@contextmanager
def _bar(says: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how far it is, on standard error and only to a person."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    columns = [TextColumn(says), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(says, total=total)
        yield lambda done: bar.update(task, completed=done)
