"""The service that `metriport-streams run` runs in this folder, found by the commands that look at it."""

import os
from pathlib import Path
from typing import Any, TypeVar

from cli import output
from cli.broker import record
from models import settings
from models.errors import Misconfigured
from models.settings import Settings

BROKER_DIR = Path("var/broker")

_KAFKA = "KAFKA_BOOTSTRAP_SERVERS"
_Settings = TypeVar("_Settings", bound=Settings)


def kafka_is_given() -> bool:
    """Tell whether the operator names a Kafka."""
    return _KAFKA in settings.given() and os.environ.get(_KAFKA) != ""


def load(kind: type[_Settings]) -> _Settings:
    """Return these settings, with the Kafka of this folder where the operator names none; or raise `Misconfigured`."""
    return settings.load(kind, **overrides())


def overrides() -> dict[str, Any]:
    """Return what is to be set for the Kafka of this folder: nothing if the operator names one.

    Raise `Misconfigured` if there is neither.
    """
    if kafka_is_given():
        return {}
    known = record.read(BROKER_DIR) if record.is_locked(BROKER_DIR) else None
    if known is None:
        raise Misconfigured(
            f"{_KAFKA} is not set, and no Kafka of `metriport-streams run` runs in this folder ({BROKER_DIR})."
        )
    output.say(f"{_KAFKA} is not set: looking at the Kafka of this folder, {known.bootstrap_servers}.")
    return own(known.bootstrap_servers)


def own(bootstrap_servers: str) -> dict[str, Any]:
    """Return what is to be set for a broker of our own; one copy of a topic is all that it can have."""
    replication = {} if "TOPIC_REPLICATION" in settings.given() else {"topic_replication": 1}
    return {"kafka_bootstrap_servers": bootstrap_servers, **replication}


def as_environment(found: dict[str, Any]) -> dict[str, str]:
    """Return the same for a child process."""
    return {name.upper(): str(value) for name, value in found.items()}
