"""Lets a stage go on that paused itself: a decision in `release.<stage>`, told in `audit`."""

from cli import audit
from cli.connection import decisions
from models import headers, topics
from models.settings import KafkaSettings
from streams.engine.poison import notes


async def resume(settings: KafkaSettings, stage: str) -> None:
    """Tell of the decision, then write it for each partition; raise `Unreachable` if Kafka does not take it."""
    await audit.tell(settings, f"worker --resume {stage}", "the stage goes on with the version that runs", stage=stage)
    async with decisions(settings) as producer:
        for partition in range(settings.topic_partitions):
            await producer.send_and_wait(
                settings.topic_prefix + topics.release(stage),
                notes.resuming(),
                partition=partition,
                headers=[(headers.CONTENT_TYPE, headers.JSON)],
            )
