"""Which released bundles would come too late: the stage has taken a newer one of the same patient and kind since."""

from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import msgspec

from cli.quarantine.held import Held
from cli.reading import partitions, read, spans
from models import headers, topics
from models.settings import KafkaSettings

Scope = tuple[str, str]  # patient id, kind


class _Snapshot(msgspec.Struct):
    patientId: str = ""  # noqa: N815 - Metriport's name
    kind: str = ""
    when: str | None = None
    stale: bool = False
    reason: str | None = None


async def stale(settings: KafkaSettings, chosen: Sequence[Held]) -> int:
    """Return how many of these, which must be records of `bundles`, end as `stale` when they are released."""
    of_bundles = [one for one in chosen if one.source is not None and one.stage == "bundles"]
    if not of_bundles:
        return 0
    newest = dict[Scope, datetime]()
    async for said, at in _said(settings, topics.FHIR_SNAPSHOTS):
        scope = said.patientId, said.kind
        if not said.stale and said.reason is None:
            newest[scope] = max(newest.get(scope, at), at)
    waiting = {(one.source, one.source_offset) for one in of_bundles}
    late = 0
    ranges = await spans(settings, await partitions(settings, [settings.topic_prefix + topics.BUNDLES]))
    async with aclosing(read(settings, ranges)) as pieces:
        async for place, records, _ in pieces:
            for record in records:
                if (place, record.offset) in waiting and (found := _read(record)) is not None:
                    late += found[1] < newest.get((found[0].patientId, found[0].kind), found[1])
    return late


async def _said(settings: KafkaSettings, topic: str) -> Any:  # noqa: ANN401 - an async generator
    ranges = await spans(settings, await partitions(settings, [settings.topic_prefix + topic]))
    async with aclosing(read(settings, ranges)) as pieces:
        async for _, records, _ in pieces:
            for record in records:
                if (found := _read(record)) is not None:
                    yield found


def _read(record: Any) -> tuple[_Snapshot, datetime] | None:  # noqa: ANN401 - aiokafka has no types
    try:
        said = msgspec.json.decode(record.value or b"", type=_Snapshot)
        at = datetime.fromisoformat(said.when or headers.text(record.headers, headers.RECEIVED_AT) or "")
        return (said, at.astimezone(UTC)) if at.tzinfo is not None else None
    except (msgspec.DecodeError, ValueError, OverflowError):
        return None
