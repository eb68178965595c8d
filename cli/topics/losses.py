"""What topics have lost, as their stages see it, and an operator's word that a stage goes on all the same.

The word is written where the stage reads it, `release.<stage>`, and told in `audit`; nothing else is written.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from cli import audit, connection
from models import headers, topics
from models.settings import KafkaSettings
from models.stages import STAGES
from streams.engine.kafka.reader import KafkaLogs
from streams.engine.kafka.recorded import recorded
from streams.engine.losses import decisions
from streams.engine.losses.losses import Loss, examine
from streams.engine.settings import EngineSettings
from streams.settings import of_stage
from streams.stage import build


class Place(NamedTuple):
    """A topic by its full name, and one of its partitions, or all of them."""

    topic: str
    partition: int | None

    def holds(self, loss: Loss) -> bool:
        """Return whether this loss is here."""
        return loss.topic == self.topic and self.partition in (None, loss.partition)


class Reader(NamedTuple):
    """A stage: how it reads Kafka, and the topics it writes."""

    settings: EngineSettings
    writes: tuple[str, ...]


def place(text: str, prefix: str) -> Place:
    """Return what `TOPIC` or `TOPIC/PARTITION` says, the prefix left out or not; raise `ValueError` if nothing."""
    name, _, number = text.partition("/")
    return Place(name if name.startswith(prefix) else prefix + name, int(number) if number else None)


def readers(**overrides: Any) -> list[Reader]:  # noqa: ANN401 - settings that count before the operator's
    """Return every stage; to be called before there is a loop."""
    workers = [build(stage, of_stage(stage, **overrides)) for stage in STAGES]
    return [Reader(worker.settings, worker.engine.topics) for worker in workers]


async def lost(reader: Reader, places: Sequence[Place]) -> list[Loss]:
    """Return what one stage finds lost at these places, everywhere if there are none."""
    theirs = [each for each in places if each.topic in (*reader.settings.sources, *reader.writes)]
    if places and not theirs:
        return []
    numbers = set(range(reader.settings.partitions))
    if theirs and all(each.partition is not None for each in theirs):
        numbers = {each.partition for each in theirs if each.partition is not None}
    state = await recorded(sorted(numbers), reader.settings)
    logs = KafkaLogs(reader.settings)
    found = await examine(state, sorted(numbers), reader.writes, logs=logs, settings=reader.settings)
    return [loss for loss in found.losses if not places or any(each.holds(loss) for each in theirs)]


async def accept(settings: KafkaSettings, stage: str, loss: Loss, start: int) -> None:
    """Tell of the decision in `audit`, then write it where the stage reads it."""
    command = f"topics accept {loss.topic}/{loss.partition} --from {start}"
    await audit.tell(settings, command, loss.says, stage=stage)
    async with connection.decisions(settings) as producer:
        await producer.send_and_wait(
            settings.topic_prefix + topics.release(stage),
            decisions.accepting(loss, start),
            partition=loss.partition,
            headers=[(headers.CONTENT_TYPE, headers.JSON)],
        )
