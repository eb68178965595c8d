"""`metriport-streams quarantine`: what the stages could not process, and what becomes of it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli import local, output
from cli.moments import moment
from cli.output import Json
from cli.quarantine import deciding
from cli.quarantine.held import Filter, Held, held
from cli.quarantine.staleness import stale
from models.errors import Misconfigured
from models.settings import KafkaSettings
from models.stages import STAGES

app = typer.Typer(help="Records that could not be processed: see, release, drop them.", no_args_is_help=True)

SHOWN_MAX = 10_000
BECAUSE_CHARS_MAX = 500

_TIME = "with a zone, 2026-11-25T09:00Z, or how long ago: 30m, 12h, 7d."

Places = Annotated[
    list[str] | None,
    typer.Argument(metavar="PLACE", help="Records by the names that `quarantine show` gives: TOPIC/PARTITION/OFFSET."),
]
StageName = Annotated[
    str | None, typer.Option("--stage", help="Records of one stage: deliveries, links, bundles or patients.")
]
Reason = Annotated[str | None, typer.Option("--reason", help="Records with this reason.")]
Type = Annotated[str | None, typer.Option("--type", help="Records with this `ce_type`, such as patient.admit.")]
Patient = Annotated[str | None, typer.Option("--patient", metavar="ID", help="Records of one patient.")]
Begin = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help=f"Records quarantined then or later; {_TIME}")
]
End = Annotated[str | None, typer.Option("--until", metavar="TIME", help=f"Records quarantined before; {_TIME}")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this, say what would be done.")]


@app.command(name="list")
def list_quarantined(
    *,
    stage: StageName = None,
    reason: Reason = None,
    kind: Type = None,
    patient: Patient = None,
    begin: Begin = None,
    until: End = None,
    as_json: Json = False,
) -> None:
    """Count what waits for a decision, by stage, reason and type; exit code 1 if anything does."""
    found = _held(local.load(KafkaSettings), stage, _filter(None, reason, kind, patient, begin, until))
    groups: dict[tuple[str, str, str], list[Held]] = {}
    for one in found:
        groups.setdefault((one.stage, one.reason, one.type), []).append(one)
    now = datetime.now(UTC)
    rows = [
        {
            "stage": name,
            "reason": why,
            "type": what,
            "records": len(group),
            "oldest": _age(now, min(one.since for one in group)),
            "newest": _age(now, max(one.since for one in group)),
            "attempts": max(one.attempt for one in group),
        }
        for (name, why, what), group in sorted(groups.items())
    ]
    output.print_rows(("stage", "reason", "type", "records", "oldest", "newest", "attempts"), rows, as_json=as_json)
    if not rows and not as_json:
        output.say("Nothing waits in quarantine.")
    raise typer.Exit(1 if rows else 0)


@app.command()
def show(
    places: Places = None,
    *,
    stage: StageName = None,
    reason: Reason = None,
    kind: Type = None,
    patient: Patient = None,
    begin: Begin = None,
    until: End = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=SHOWN_MAX, help="Show the first ones.")] = 100,
    as_json: Json = False,
) -> None:
    """Name single records, without their values (`tail` shows those); exit code 1 if there is none."""
    found = _held(local.load(KafkaSettings), stage, _filter(places, reason, kind, patient, begin, until))
    rows = [
        {
            "place": one.place,
            "reason": one.reason,
            "type": one.type,
            "since": one.since.isoformat(timespec="seconds"),
            "attempts": one.attempt,
            "bytes": one.value_bytes,
            "came from": None
            if one.source is None
            else f"{one.source.topic}/{one.source.partition}/{one.source_offset}",
        }
        for one in found[:limit]
    ]
    output.print_rows(("place", "reason", "type", "since", "attempts", "bytes", "came from"), rows, as_json=as_json)
    if not as_json:
        more = len(found) - len(rows)
        output.say(f"{more} more; --limit shows them." if more else f"{len(found)} records.")
    raise typer.Exit(0 if found else 1)


@app.command()
def release(
    places: Places = None,
    *,
    stage: StageName = None,
    reason: Reason = None,
    kind: Type = None,
    patient: Patient = None,
    begin: Begin = None,
    until: End = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All records there are, if nothing else says which.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Give records to their stage once more, as they first came. Deduplication holds; what fails again comes back here.

    Records of one patient that are released are not put in order among those that came since: states are right all the
    same, and a bundle that is older than the newest of its kind ends as `stale`. Exit code 1 if there is nothing to
    release.
    """
    wanted = _chosen(places, reason, kind, patient, begin, until, stage=stage, everything=everything)
    settings = local.load(KafkaSettings)
    found = _held(settings, stage, wanted)
    obstacles = Counter(deciding.obstacle(one, named=wanted.places is not None) for one in found)
    chosen = [one for one in found if not deciding.obstacle(one, named=wanted.places is not None)]
    late = asyncio.run(stale(settings, chosen))
    done = asyncio.run(deciding.release(settings, chosen)) if yes and chosen else deciding.Released(0, 0)
    if as_json:
        output.print_json(
            {"meant": len(found), "releasable": len(chosen), "stale": late, "released": done.written, "lost": done.lost}
        )
    else:
        for says, count in sorted(obstacles.items()):
            if says:
                output.say(f"{count} records {says}.")
        if late:
            output.say(f"{late} bundles are older than the newest of their patient and kind: they will end as `stale`.")
        if done.lost:
            output.fail(
                f"{done.lost} records were not released: their topics no longer have them, or take none so large."
            )
        output.say(
            f"{done.written} records released." if yes else f"{len(chosen)} records would be released, with --yes."
        )
    raise typer.Exit(0 if chosen and not done.lost else 1)


@app.command()
def drop(
    places: Places = None,
    *,
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Your reason, kept in `audit`.")],
    stage: StageName = None,
    reason: Reason = None,
    kind: Type = None,
    patient: Patient = None,
    begin: Begin = None,
    until: End = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All records there are, if nothing else says which.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Be done with records: they are listed no more, and stay in their topic. Exit code 1 if there is none."""
    if not because.strip() or len(because) > BECAUSE_CHARS_MAX:
        raise Misconfigured(f"--because needs a reason, of {BECAUSE_CHARS_MAX} characters at most; no patient's data.")
    wanted = _chosen(places, reason, kind, patient, begin, until, stage=stage, everything=everything)
    settings = local.load(KafkaSettings)
    found = _held(settings, stage, wanted)
    if yes and found:
        asyncio.run(deciding.drop(settings, found, because))
    if as_json:
        output.print_json({"meant": len(found), "dropped": len(found) if yes else 0})
    else:
        output.say(f"{len(found)} records dropped." if yes else f"{len(found)} records would be dropped, with --yes.")
    raise typer.Exit(0 if found else 1)


def _held(settings: KafkaSettings, stage: str | None, wanted: Filter) -> list[Held]:
    if stage is not None and stage not in STAGES:
        raise Misconfigured(f"There is no stage {stage}; there are {', '.join(STAGES)}.")
    if wanted.places is not None:
        prefix = settings.topic_prefix
        named = frozenset(place if place.startswith(prefix) else prefix + place for place in wanted.places)
        wanted = replace(wanted, places=named)
    found = asyncio.run(held(settings, [stage] if stage is not None else list(STAGES), wanted))
    if wanted.places is not None and (missing := wanted.places - {one.place for one in found}):
        output.say(f"{len(missing)} of these do not wait in quarantine, {min(missing)} among them.")
    return found


def _chosen(*given: Any, stage: str | None, everything: bool) -> Filter:  # noqa: ANN401 - as `_filter` takes them
    """Return what is meant; what changes something is not done to all there is unless that is said."""
    if not any(given) and stage is None and not everything:
        raise Misconfigured(
            "Say which: name places, or give --stage, --reason, --type, --patient, --from, --until or --all."
        )
    return _filter(*given)


def _filter(  # noqa: PLR0917 - in the order of the options
    places: Sequence[str] | None,
    reason: str | None,
    kind: str | None,
    patient: str | None,
    begin: str | None,
    until: str | None,
) -> Filter:
    return Filter(frozenset(places) if places else None, reason, kind, patient, _moment(begin), _moment(until))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else moment(text, now=datetime.now(UTC))


def _age(now: datetime, then: datetime) -> str:
    """Return how long ago it was, in the largest unit of which it is two or more."""
    seconds = max(0, round((now - then).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
