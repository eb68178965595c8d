"""`metriport-streams tail`: records as they come."""

import asyncio
import hashlib
import re
import secrets
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from aiokafka.structs import ConsumerRecord

from cli import output
from cli.output import Json
from cli.records import records
from models import headers
from models.settings import CatalogueSettings, load
from models.topics import catalogue

TYPE = re.compile(r"[a-zA-Z][a-zA-Z0-9.-]{0,99}")
# Of this run: who keeps what was printed cannot try ids until one fits.
_SALT = secrets.token_bytes(16)
_HIDDEN_BYTES = 4

Topics = Annotated[list[str] | None, typer.Argument(metavar="[TOPIC]...", help="Without the prefix; all if left out.")]


def tail(
    topics: Topics = None,
    *,
    from_start: Annotated[bool, typer.Option("--from-start", help="Show what is there already, too.")] = False,
    follow: Annotated[bool, typer.Option(help="Go on with what comes, or end at what is there now.")] = True,
    key: Annotated[str | None, typer.Option(help="Only records with this key, as in a patient's id.")] = None,
    values: Annotated[bool, typer.Option("--values", help="Show values, keys and ids: patients' data.")] = False,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many records.")] = None,
    as_json: Json = False,
) -> None:
    """Show records as they come: where they are and what they are; what they say only with --values.

    Keys and ids are patients' data, too: without --values each is shown as the same `~1a2b3c4d` throughout the run.
    """
    settings = load(CatalogueSettings)
    names = [_full(settings.topic_prefix, topic) for topic in topics or _all(settings)]

    async def show() -> None:
        left = count
        async with aclosing(records(settings, names, from_start=from_start, follow=follow)) as found:
            async for record in found:
                if key is not None and record.key != key.encode():
                    continue
                facts = _facts(record, values=values, known=key)
                output.print_json(facts) if as_json else output.print_line(_line(facts))
                left = None if left is None else left - 1
                if left == 0:
                    return

    try:
        asyncio.run(show())
    except KeyboardInterrupt:
        # The way a person ends it, not a trouble.
        raise typer.Exit(0) from None


def _all(settings: CatalogueSettings) -> list[str]:
    return [topic.name for topic in catalogue(settings.fhir_state_types) if not topic.internal]


def _full(prefix: str, topic: str) -> str:
    return topic if prefix and topic.startswith(prefix) else f"{prefix}{topic}"


def _facts(record: ConsumerRecord, *, values: bool, known: str | None = None) -> dict[str, Any]:
    """Return what is shown of a record; the key that is `known` to who asks need not be hidden."""
    facts = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "time": datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat(timespec="milliseconds"),
        "key": _text(record.key) if values or _text(record.key) == known else _hidden(record.key),
        "bytes": None if record.value is None else len(record.value),
        "headers": {name: _text(value) if values else _header(name, value) for name, value in record.headers},
    }
    return facts | {"value": _text(record.value)} if values else facts


def _header(name: str, value: bytes | None) -> str | None:
    text = _text(value)
    # A type without a model is whatever was sent.
    told = headers.TABLE.get(name)
    shown = told is not None and not told.personal and (name != headers.CE_TYPE or TYPE.fullmatch(text or ""))
    return text if shown else _hidden(value)


def _hidden(value: bytes | None) -> str | None:
    if value is None:
        return None
    return f"~{hashlib.blake2b(value, key=_SALT, digest_size=_HIDDEN_BYTES).hexdigest()}"


def _line(facts: dict[str, Any]) -> str:
    size = "gone" if facts["bytes"] is None else f"{facts['bytes']} B"
    about = facts["headers"].get(headers.QUARANTINE_REASON) or facts["headers"].get(headers.CE_TYPE) or ""
    line = f"{facts['time']}  {facts['topic']}/{facts['partition']}/{facts['offset']}  {facts['key']}  {about}  {size}"
    value = facts.get("value")
    return output.one_line(line) if value is None else f"{output.one_line(line)}\n  {output.one_line(value)}"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
