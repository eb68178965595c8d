"""What operators did, told in the topic `audit`: when, who, with which command, what it said."""

import getpass
import json
import socket
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from cli.broker.errors import Unreachable
from cli.connection import REQUEST_TIMEOUT_MS
from models import headers, topics
from models.security import client_options
from models.settings import KafkaSettings


async def tell(settings: KafkaSettings, command: str, says: str, *, stage: str | None) -> None:
    """Write one record; return when Kafka has it. `says` must not say whom it is about; raise `Unreachable`."""
    told = {
        "at": headers.timestamp(datetime.now(UTC)),
        "by": f"{getpass.getuser()}@{socket.gethostname()}",
        "command": command,
        "says": says,
    } | ({"stage": stage} if stage is not None else {})
    producer = AIOKafkaProducer(
        acks="all", enable_idempotence=True, request_timeout_ms=REQUEST_TIMEOUT_MS, **client_options(settings)
    )
    try:
        await producer.start()
        await producer.send_and_wait(
            settings.topic_prefix + topics.AUDIT,
            json.dumps(told).encode(),
            headers=[(headers.CONTENT_TYPE, headers.JSON)],
        )
    except (KafkaError, TimeoutError, OSError):
        raise Unreachable(f"No Kafka took the audit record at {settings.kafka_bootstrap_servers}.") from None
    finally:
        await producer.stop()
