"""What operators did, told in the topic `audit`: when, who, with which command, what it said."""

import getpass
import json
import os
import socket
from datetime import UTC, datetime
from typing import Any

from cli.connection import decisions
from models import headers, topics
from models.settings import KafkaSettings


async def tell(settings: KafkaSettings, command: str, says: str, *, stage: str | None, **more: Any) -> None:  # noqa: ANN401 - JSON
    """Write one record; return when Kafka has it. Nothing in it may say whom it is about. Raise `Unreachable`."""
    told = {"at": headers.timestamp(datetime.now(UTC)), "by": operator(), "command": command, "says": says}
    if stage is not None:
        told["stage"] = stage
    async with decisions(settings, what="the audit record") as producer:
        await producer.send_and_wait(
            settings.topic_prefix + topics.AUDIT,
            json.dumps(told | more).encode(),
            headers=[(headers.CONTENT_TYPE, headers.JSON)],
        )


def operator() -> str:
    """Return who runs this, and where; a user that the machine has no name for is its number."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # an arbitrary uid of a container
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"
