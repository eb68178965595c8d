"""Lets a stage go on that paused itself: a decision in `release.<stage>`, told in `audit`."""

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from cli import audit
from cli.broker.errors import Unreachable
from cli.connection import REQUEST_TIMEOUT_MS
from models import headers, topics
from models.security import client_options
from models.settings import KafkaSettings
from streams.engine.poison import notes


async def resume(settings: KafkaSettings, stage: str) -> None:
    """Tell of the decision, then write it for each partition; raise `Unreachable` if Kafka does not take it."""
    await audit.tell(settings, f"worker --resume {stage}", "the stage goes on with the version that runs", stage=stage)
    producer = AIOKafkaProducer(
        acks="all", enable_idempotence=True, request_timeout_ms=REQUEST_TIMEOUT_MS, **client_options(settings)
    )
    try:
        await producer.start()
        for partition in range(settings.topic_partitions):
            await producer.send_and_wait(
                settings.topic_prefix + topics.release(stage),
                notes.resuming(),
                partition=partition,
                headers=[(headers.CONTENT_TYPE, headers.JSON)],
            )
    except (KafkaError, TimeoutError, OSError):
        raise Unreachable(f"No Kafka took the decision at {settings.kafka_bootstrap_servers}.") from None
    finally:
        await producer.stop()
