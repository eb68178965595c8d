"""Reading and creating topics: the requests to Kafka and nothing else."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidReplicationFactorError, TopicAlreadyExistsError, for_code

from cli.topics.plan import Found, Wanted
from models.errors import Misconfigured

VISIBLE_TIMEOUT_S = 60.0
POLL_S = 0.1
OF_THE_TOPIC = 1  # where a value comes from, in the words of DescribeConfigs


class _Entry(NamedTuple):
    name: str
    value: str
    is_override: bool


async def read(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, Found]:
    """Return the topics of these names that are there, as they are."""
    there = {topic["topic"]: topic["partitions"] for topic in await _described(admin, names)}
    configs = await _configs(admin, list(there))
    return {
        name: Found(
            partitions=len(partitions),
            replication=min((len(partition["replicas"]) for partition in partitions), default=0),
            config={entry.name: entry.value for entry in configs.get(name, ())},
            overrides={entry.name: entry.value for entry in configs.get(name, ()) if entry.is_override},
        )
        for name, partitions in there.items()
    }


async def create(admin: AIOKafkaAdminClient, topics: Iterable[Wanted]) -> None:
    """Create the topics; one that somebody else has just created is fine."""
    request = [
        NewTopic(
            topic.name,
            num_partitions=topic.partitions,
            replication_factor=topic.replication,
            topic_configs=dict(topic.config),
        )
        for topic in topics
    ]
    if not request:
        return
    response = await admin.create_topics(request)
    for name, code, *said in response.topic_errors:
        error = for_code(code)
        if error is InvalidReplicationFactorError:
            raise Misconfigured(
                f"TOPIC_REPLICATION is {request[0].replication_factor}, more than there are brokers. "
                "Set it to the number of brokers, 1 for a single one."
            )
        if code and error is not TopicAlreadyExistsError:
            raise Misconfigured(f"Kafka did not create {name}: {_refusal(error, *said)}")


async def change(admin: AIOKafkaAdminClient, configs: Mapping[str, Mapping[str, str]]) -> None:
    """Set the topics' whole configurations, each at once, and return when Kafka tells them so."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict(config)) for name, config in configs.items()]
    if not resources:
        return
    for response in await admin.alter_configs(resources):
        for code, said, _, name in response.resources:
            if code:
                raise Misconfigured(f"Kafka did not change {name}: {_refusal(for_code(code), said)}")
    deadline = time.monotonic() + VISIBLE_TIMEOUT_S
    while unset := await _unset(admin, configs):
        if time.monotonic() > deadline:
            raise Misconfigured(f"Kafka took the change of {unset[0]} and does not show it. Run it again.")
        await asyncio.sleep(POLL_S)


async def wait_until_visible(admin: AIOKafkaAdminClient, names: Sequence[str]) -> None:
    """Wait until every partition of every topic has a leader: what is created is not at once there for clients."""
    deadline = time.monotonic() + VISIBLE_TIMEOUT_S
    while leaderless := await _leaderless(admin, names):
        if time.monotonic() > deadline:
            raise Misconfigured(
                f"{len(leaderless)} topics have partitions without a leader, {leaderless[0]} among them, and had none "
                f"within {VISIBLE_TIMEOUT_S:.0f} s: a broker is away."
            )
        await asyncio.sleep(POLL_S)


async def _unset(admin: AIOKafkaAdminClient, configs: Mapping[str, Mapping[str, str]]) -> list[str]:
    told = await _configs(admin, list(configs))
    is_now = {name: {entry.name: entry.value for entry in entries} for name, entries in told.items()}
    return [name for name, config in configs.items() if not config.items() <= is_now[name].items()]


def _refusal(error: type[Exception], said: str | None = None) -> str:
    return f"{error.__name__}, {said}" if said else f"{error.__name__}."


async def _leaderless(admin: AIOKafkaAdminClient, names: Sequence[str]) -> list[str]:
    leaders = {
        topic["topic"]: [partition["leader"] for partition in topic["partitions"]]
        for topic in await _described(admin, names)
    }
    return [name for name in names if min(leaders.get(name, ()), default=-1) < 0]


async def _described(admin: AIOKafkaAdminClient, names: Sequence[str]) -> list[dict[str, Any]]:
    # Asked for by name, unknown topics come back with an error; asked for none, Kafka answers with all.
    return [topic for topic in await admin.describe_topics(list(names)) if not topic["error_code"]] if names else []


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, list[_Entry]]:
    if not names:
        return {}
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    return {
        name: [_Entry(entry[0], entry[1] or "", entry[3] == OF_THE_TOPIC) for entry in entries]
        for response in responses
        for _, _, _, name, entries in response.resources
    }
