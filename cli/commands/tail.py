"""`metriport-streams tail`: records as they come."""

import asyncio
import hashlib
import json
import re
import secrets
from collections.abc import Collection
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from aiokafka.structs import ConsumerRecord

from cli import local, moments, output
from cli.output import Json
from cli.records import Stretch, count, records
from models import headers, topics
from models.errors import Misconfigured
from models.moments import of_ms
from models.settings import CatalogueSettings

TYPE = re.compile(r"[a-zA-Z][a-zA-Z0-9.-]{0,99}")
# Whatever was sent may be in these; a type of ours has this form.
_CHECKED_HEADERS = frozenset((headers.CE_TYPE, headers.RESOURCE_TYPE))
# Of the records about what links led to: words of our own, from a bounded set each.
_TOLD = {
    topics.DOCUMENTS: ("outcome", "reason"),
    topics.BUNDLES: ("kind", "format", "outcome", "reason"),
    topics.FHIR_SNAPSHOTS: ("kind", "stale", "reason"),
}
_WORD = re.compile(r"[a-z_]{1,40}")
_READ_BYTES_MAX = 2**16
# Of this run: who keeps what was printed cannot try ids until one fits.
_SALT = secrets.token_bytes(16)
_HIDDEN_BYTES = 4

Topics = Annotated[
    list[str] | None,
    typer.Argument(metavar="TOPIC", help="Topics, with or without the prefix; every one if left out."),
]


def tail(
    names: Topics = None,
    *,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the oldest record there is.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Begin then: so long ago, 10m, 2h, 7d; or a time with its zone, 2026-01-31T12:00Z."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="End with what came before then, given as for --since.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            help="Go on with what comes. With --no-follow end at what is there now, and begin with the oldest record "
            "if no other beginning is given."
        ),
    ] = True,
    patient: Annotated[
        str | None, typer.Option(metavar="ID", help="Only what has this patient's id in its key, in any topic.")
    ] = None,
    message_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Only what was made from the delivery with this messageId.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Only records with exactly this key.")] = None,
    values: Annotated[
        bool, typer.Option("--values", help="Show values, keys and ids, too. They are patients' data.")
    ] = False,
    limit: Annotated[int | None, typer.Option("--count", min=1, help="End after so many records.")] = None,
    as_json: Json = False,
) -> None:
    """Show records: where they are, when they came and what they are about; what they say only with --values.

    Begins with what comes from now on, and goes on until Ctrl-C, unless told otherwise. Keys and ids are patients'
    data, too: without --values each is shown as the same `~1a2b3c4d` throughout the run.
    """
    settings = local.load(CatalogueSettings)
    wanted = [_full(settings.topic_prefix, topic) for topic in names or _all(settings)]
    stretch = _stretch(since, until, from_start=from_start, follow=follow)
    known = {each for each in (key, patient, message_id) if each is not None}

    async def show() -> None:
        if follow and stretch.since_ms is None and not stretch.from_start:
            await _tell_of_older(settings, wanted)
        left = limit
        partition_of = patient.encode() if patient is not None else None
        async with aclosing(records(settings, wanted, stretch, partition_of=partition_of)) as found:
            async for record in found:
                if not _is_meant(record, key=key, patient=patient, message_id=message_id):
                    continue
                _print(record, settings.topic_prefix, values=values, known=known, as_json=as_json)
                left = None if left is None else left - 1
                if left == 0:
                    return

    try:
        asyncio.run(show())
    except KeyboardInterrupt:
        # The way a person ends it, not a trouble.
        raise typer.Exit(0) from None


def _stretch(since: str | None, until: str | None, *, from_start: bool, follow: bool) -> Stretch:
    if since is not None and from_start:
        raise Misconfigured("--since and --from-start are two beginnings: give one.")
    now = datetime.now(UTC)
    begin = None if since is None else moments.moment(since, now=now)
    end = None if until is None else moments.moment(until, now=now)
    if begin and end and begin >= end:
        raise Misconfigured("--until is not later than --since: nothing is between them.")
    return Stretch(
        # What is to end without having begun would show nothing.
        from_start=from_start or (begin is None and (not follow or (end is not None and end <= now))),
        follow=follow,
        since_ms=None if begin is None else moments.milliseconds(begin),
        until_ms=None if end is None else moments.milliseconds(end),
    )


async def _tell_of_older(settings: CatalogueSettings, names: list[str]) -> None:
    there = await count(settings, names)
    older = f" {there} records are there already: --from-start or --since 1h shows them." if there else ""
    output.say(f"Waiting for what comes from now on, until Ctrl-C.{older}")


def _is_meant(record: ConsumerRecord, *, key: str | None, patient: str | None, message_id: str | None) -> bool:
    if key is not None and record.key != key.encode():
        return False
    if patient is not None:
        owner = patient.encode()
        if record.key != owner and not (record.key or b"").startswith(owner + b"/"):
            return False
    return message_id is None or headers.text(record.headers, headers.MESSAGE_ID) == message_id


def _all(settings: CatalogueSettings) -> list[str]:
    return [topic.name for topic in topics.catalogue(settings.fhir_state_types) if not topic.internal]


def _full(prefix: str, topic: str) -> str:
    return topic if prefix and topic.startswith(prefix) else f"{prefix}{topic}"


def _print(record: ConsumerRecord, prefix: str, *, values: bool, known: Collection[str], as_json: bool) -> None:
    facts = _facts(record, prefix, values=values, known=known)
    if not as_json:
        output.print_line(_line(facts, _text(record.value) if values else None))
    elif values:
        output.print_json_text(f'{json.dumps(facts, ensure_ascii=False)[:-1]}, "value": {_as_json(record.value)}}}')
    else:
        output.print_json(facts)


def _facts(record: ConsumerRecord, prefix: str = "", *, values: bool, known: Collection[str] = ()) -> dict[str, Any]:
    """Return what is shown of a record beside its value; what is `known` to who asks need not be hidden."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "time": of_ms(record.timestamp).isoformat(timespec="milliseconds"),
        "key": _text(record.key) if values or _text(record.key) in known else _hidden(record.key),
        "bytes": None if record.value is None else len(record.value),
        "about": _about(record, prefix),
        "headers": {name: _text(value) if values else _header(name, value, known) for name, value in record.headers},
    }


def _about(record: ConsumerRecord, prefix: str) -> str:
    """Return in a few words what a record is about, none of them a patient's."""
    shown = {
        name: text for name, value in record.headers if (text := _header(name, value)) and not text.startswith("~")
    }
    if reason := shown.get(headers.QUARANTINE_REASON):
        return reason
    if change := shown.get(headers.CHANGE):
        version, number = shown.get(headers.VERSION), shown.get(headers.SEQUENCE)
        parts = (change, shown.get(headers.RESOURCE_TYPE), version and f"v{version}", number and f"#{number}")
        return " ".join(part for part in parts if part)
    words = (shown.get(headers.CE_TYPE), *_words(record, record.topic.removeprefix(prefix)))
    return " ".join(word for word in words if word)


def _words(record: ConsumerRecord, topic: str) -> list[str]:
    names = _TOLD.get(topic, ())
    if not names or not record.value or len(record.value) > _READ_BYTES_MAX:
        return []
    try:
        value = msgspec.json.decode(record.value)
    except (ValueError, RecursionError):
        return []
    told = (value.get(name) for name in names) if isinstance(value, dict) else ()
    found = ["stale" if each is True else each for each in told]
    return [word for word in found if isinstance(word, str) and _WORD.fullmatch(word)]


def _header(name: str, value: bytes | None, known: Collection[str] = ()) -> str | None:
    text = _text(value)
    told = headers.TABLE.get(name)
    shown = told is not None and not told.personal and (name not in _CHECKED_HEADERS or TYPE.fullmatch(text or ""))
    return text if shown or text in known else _hidden(value)


def _hidden(value: bytes | None) -> str | None:
    if value is None:
        return None
    return f"~{hashlib.blake2b(value, key=_SALT, digest_size=_HIDDEN_BYTES).hexdigest()}"


def _line(facts: dict[str, Any], value: str | None = None) -> str:
    size = "gone" if facts["bytes"] is None else f"{facts['bytes']} B"
    where = f"{facts['topic']}/{facts['partition']}/{facts['offset']}"
    line = output.one_line(f"{facts['time']}  {where}  {facts['key']}  {facts['about']}  {size}")
    return line if value is None else f"{line}\n  {output.one_line(value)}"


def _as_json(value: bytes | None) -> str:
    """Return a record's value as JSON of one line: as it is, numbers digit by digit, if it is JSON; else as a text."""
    if value is None:
        return "null"
    try:
        return msgspec.json.format(value, indent=-1).decode()
    except (ValueError, RecursionError):
        return json.dumps(_text(value), ensure_ascii=False)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
