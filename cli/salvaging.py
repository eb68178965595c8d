"""Sends what can be read of a set-aside spool to `webhooks`, as the ingress drains its own: in order, acknowledged."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from cli.broker.errors import Unreachable
from cli.broker.readiness import somebody_listens
from ingress import connection
from ingress.producer import Producer
from ingress.records import Delivery, records
from ingress.session import NotPublished
from ingress.set_aside import SetAside
from ingress.settings import SpoolSettings
from models import envelope, topics
from models.errors import Misconfigured, TooLarge

PATIENCE_S = 60.0
RETRY_S = 0.25


async def salvage(one: SetAside, settings: SpoolSettings) -> int:
    """Send every delivery that was not moved before; return how many.

    What Kafka has acknowledged is noted in steps, so that an interrupted run is gone on with. Raise `Unreachable`,
    `Misconfigured`, or `InUse` while somebody else reads the same one.
    """
    if not await somebody_listens(settings.kafka_bootstrap_servers):
        raise Unreachable(f"No Kafka answers at {settings.kafka_bootstrap_servers}.")
    loop = asyncio.get_running_loop()
    async with _producing(settings) as producer:

        def take(deliveries: Sequence[Delivery]) -> None:
            asyncio.run_coroutine_threadsafe(_send(producer, deliveries, settings.body_bytes_max), loop).result()

        return await asyncio.to_thread(one.move, take)


@contextlib.asynccontextmanager
async def _producing(settings: SpoolSettings) -> AsyncIterator[Producer]:
    producer = Producer(
        lambda: connection.producer(settings),
        settings.topic_prefix + topics.WEBHOOKS,
        partitions=settings.topic_partitions,
        replace_s=settings.producer_replace_s,
    )
    running = asyncio.create_task(producer.run())
    try:
        yield producer
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _send(producer: Producer, deliveries: Sequence[Delivery], body_bytes_max: int) -> None:
    wanted = [
        record for one in deliveries for record in records(one, envelope.read(one.body), body_bytes_max=body_bytes_max)
    ]
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await producer.usable()
                with contextlib.suppress(NotPublished):
                    await producer.publish(wanted, timeout_s=None)
                    return
                await asyncio.sleep(RETRY_S)
    except TimeoutError:
        if producer.state == "topic_missing":
            raise Misconfigured(
                "There is no topic for webhooks. `metriport-streams topics apply` creates it."
            ) from None
        raise Unreachable(f"Kafka did not take it all within {PATIENCE_S:.0f} s; the next run goes on there.") from None
    except TooLarge:
        largest = max(len(one.body) for one in deliveries)
        raise Misconfigured(
            f"The broker refuses a record for its size (up to {largest} bytes): raise `max.message.bytes` of the topic "
            "for webhooks, then run this again; it goes on there."
        ) from None
