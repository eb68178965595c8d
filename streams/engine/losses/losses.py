"""Finds out whether the logs still hold what the state was made from and what it says was written.

A log can lose its end: one broker and a power cut, or a leader that was behind. Once it has grown again, offsets alone
do not show it, and what stands below the position would be skipped in silence. So the state keeps
fingerprints of records.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from streams.engine.fingerprints import Fingerprint
from streams.engine.log import checkpoint
from streams.engine.log.output_tails import Tails, read_tails
from streams.engine.ports import LogPartition, Logs, Scan, Span
from streams.engine.settings import EngineSettings

Kind = Literal["source", "state", "output"]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What one partition has lost. `position` is how far the state has read it, or written it if it is an output.

    `resume` is the offset from which to go on; `group` is what the group has committed there.
    """

    kind: Kind
    topic: str
    partition: int
    position: int
    resume: int
    says: str
    digest: str = ""
    group: int = 0

    @property
    def identity(self) -> str:
        """Return what a decision must quote to be about this loss and no other."""
        return f"{self.kind}/{self.topic}/{self.partition}/{self.position}/{self.digest or self.group}"

    @property
    def sentence(self) -> str:
        """Return what an operator must know."""
        return (
            f"{self.topic}/{self.partition}: {self.says} Nothing more is read until then. Operator action: bring the "
            f"records back if you can; else `metriport-streams topics accept {self.topic}/{self.partition}` goes on "
            "from what is there."
        )


class Examination(NamedTuple):
    """What the logs say of some partition numbers."""

    spans: dict[LogPartition, Span]
    ends: dict[LogPartition, int]
    tails: dict[int, Tails]
    losses: list[Loss]


async def examine(
    state: Scan, partitions: Iterable[int], topics: Sequence[str], *, logs: Logs, settings: EngineSettings
) -> Examination:
    """Read what the sources and the outputs (`topics`) hold, and compare it with the state."""
    numbers = list(partitions)
    spans = await logs.spans((topic, number) for topic in settings.sources for number in numbers)
    notes = {
        (topic, at): fingerprint
        for at in numbers
        for topic, fingerprint in checkpoint.ends(state, at)
        if topic in topics
    }
    floors = {number: checkpoint.floors(state, number) for number in numbers}
    tails, ends, seen = await read_tails(logs, topics, floors, notes, settings)
    committed = await logs.committed(spans)
    losses = [
        *_unread(await _unlike(state, spans, logs), spans, state),
        *(loss for at, span in spans.items() if (loss := _forgotten(at, span, committed.get(at, 0), state))),
        *(loss for at, fingerprint in notes.items() if (loss := _unwritten(at, fingerprint, ends[at], seen.get(at)))),
    ]
    return Examination(spans, ends, tails, losses)


async def unlike(fingerprints: Mapping[LogPartition, Fingerprint], logs: Logs) -> set[LogPartition]:
    """Return where a log holds another record than the one that was read; one deleted by retention does not count."""
    found = await logs.at({partition: [fingerprint.offset] for partition, fingerprint in fingerprints.items()})
    return {
        at
        for at, fingerprint in fingerprints.items()
        if found.get((at, fingerprint.offset), fingerprint) != fingerprint
    }


async def _unlike(state: Scan, spans: Mapping[LogPartition, Span], logs: Logs) -> dict[LogPartition, int]:
    """Return the sources whose log is not the one that was read, and from where on."""
    fingerprints = {(topic, number): checkpoint.fingerprints(state, number, topic) for topic, number in spans}
    newest = {at: found[-1] for at, found in fingerprints.items() if found}
    parted = await unlike(
        {at: fingerprint for at, fingerprint in newest.items() if fingerprint.offset < spans[at].end}, logs
    )
    parted |= {at for at in spans if _position(state, at) > spans[at].end}
    known = await logs.at(
        {
            at: [fingerprint.offset for fingerprint in fingerprints[at] if fingerprint.offset < spans[at].end]
            for at in parted
        }
    )
    return {
        at: max(
            (
                fingerprint.offset + 1
                for fingerprint in fingerprints[at]
                if known.get((at, fingerprint.offset)) == fingerprint
            ),
            default=spans[at].first,
        )
        for at in parted
    }


def _unread(parted: Mapping[LogPartition, int], spans: Mapping[LogPartition, Span], state: Scan) -> Iterable[Loss]:
    for (topic, partition), resume in parted.items():
        position, end = _position(state, (topic, partition)), spans[topic, partition].end
        what = (
            f"the state has read up to {position}, but the topic ends at {end}: it was deleted and made again, or it "
            "lost records."
            if position > end
            else f"another record than the one that was read stands before {position}: the topic lost its last records "
            "and has grown since, or it was deleted and made again."
        )
        fingerprints = checkpoint.fingerprints(state, partition, topic)
        yield Loss(
            kind="source",
            topic=topic,
            partition=partition,
            position=position,
            resume=resume,
            says=what,
            digest=fingerprints[-1].digest.decode() if fingerprints else "",
        )


def _forgotten(at: LogPartition, span: Span, committed: int, state: Scan) -> Loss | None:
    """Return the loss if the group has finished more than the state knows of: the state was lost, and not the group."""
    position = _position(state, at)
    if committed <= max(position, checkpoint.void(state, at[1], at[0])):
        return None
    return Loss(
        kind="state",
        topic=at[0],
        partition=at[1],
        position=position,
        resume=max(position, span.first),
        group=committed,
        says=(
            f"the group has finished up to {committed}, but the state knows of nothing behind {position}: the state "
            "folder and the changelog lost what was done since, and would take it for new."
        ),
    )


def _unwritten(at: LogPartition, note: Fingerprint, end: int, seen: bytes | None) -> Loss | None:
    """Return the loss if an output does not hold the record that was written last; one compacted away is no loss."""
    if note.offset < end and seen in (None, note.digest):
        return None
    return Loss(
        kind="output",
        topic=at[0],
        partition=at[1],
        position=note.offset + 1,
        resume=end,
        digest=note.digest.decode(),
        says=(
            f"written up to {note.offset + 1}, but the topic ends at {end}: what it lost is not written again."
            if note.offset >= end
            else f"another record than the one that was written stands before {note.offset + 1}: what the topic lost "
            "is not written again."
        ),
    )


def _position(state: Scan, at: LogPartition) -> int:
    return checkpoint.known_position(state, at[1], at[0]) or 0
