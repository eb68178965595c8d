"""Reads the last records of the output partitions: what a predecessor wrote before the state could say so.

Outputs of an input partition go, in input order, to one partition number, and only its owner writes there. So the last
records tell which outputs need not be sent again. Settled outputs come in no order; they are known by their `ce_id`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from models.headers import CE_ID, GENERATION, SETTLED, SOURCE, get
from streams.engine.fingerprints import Fingerprint, digest
from streams.engine.job import Headers
from streams.engine.log.source_header import NOWHERE, Place, parse
from streams.engine.ports import LogPartition, Logs
from streams.engine.settings import EngineSettings

LogPlace = tuple[int, int]  # partition number, offset
Floors = Mapping[tuple[str, str], int]  # source topic, output topic -> offset


@dataclass
class Tails:
    """What the ends of one partition number say, over all output topics."""

    written: dict[str, dict[str, Place]] = field(default_factory=dict)  # source topic -> output topic -> place
    unordered: dict[str, set[bytes]] = field(default_factory=dict)  # output topic -> ce_ids
    floors: Floors = field(default_factory=dict)

    def note(self, topic: str, at: LogPlace, headers: Headers, generation: bytes = b"") -> None:
        """Take in one record of an output topic, at this partition number and offset.

        The largest place counts, not the last: a late write of a worker that was thought dead may stand behind it.
        """
        if (get(headers, GENERATION) or b"") != generation:
            return
        if get(headers, SETTLED) is not None:
            if ce_id := get(headers, CE_ID):
                self.unordered.setdefault(topic, set()).add(ce_id)
            return
        source = parse(get(headers, SOURCE) or b"")
        partition, offset = at
        if source is None or source.partition != partition:
            return
        # Below the floor its source was another: the log lost its end and has grown again.
        if offset >= self.floors.get((source.topic, topic), 0):
            self.remember(source.topic, topic, (source.offset, source.ordinal))

    def remember(self, source_topic: str, topic: str, place: Place) -> None:
        """Take in that the outputs up to `place` are written."""
        places = self.written.setdefault(source_topic, {})
        places[topic] = max(place, places.get(topic, NOWHERE))

    def of(self, source_topic: str) -> dict[str, Place]:
        """Return how far each output topic is written for one source."""
        return self.written.setdefault(source_topic, {})


async def read_tails(
    logs: Logs,
    topics: Iterable[str],
    floors: Mapping[int, Floors],
    notes: Mapping[LogPartition, Fingerprint],
    settings: EngineSettings,
) -> tuple[dict[int, Tails], dict[LogPartition, int], dict[LogPartition, bytes]]:
    """Return the tails of each partition number in `floors`, and where each output partition ends.

    And the hashes of the records that stand where the `notes` say that the last ones were written.
    """
    tails = {partition: Tails(floors=under) for partition, under in floors.items()}
    generation = settings.generation.encode()
    wanted = [(topic, partition) for topic in topics for partition in tails]
    ends = await logs.ends(wanted)
    seen: dict[LogPartition, bytes] = {}
    async for (topic, partition), record in logs.last(ends, settings.tail_records):
        tails[partition].note(topic, (partition, record.offset), record.headers, generation)
        if (note := notes.get((topic, partition))) and note.offset == record.offset:
            seen[topic, partition] = digest(record.key, record.value)
    return tails, ends, seen
