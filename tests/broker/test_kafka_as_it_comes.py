"""A Kafka whose own settings nobody has changed for us: it makes topics by itself, and limits what they keep."""

import asyncio
import contextlib
import json
import time
import uuid

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.metadata import MetadataRequest

import cli.broker.kafka
from cli import broker
from cli.broker.properties import properties
from cli.main import main
from ingress import connection
from ingress.producer import Producer
from ingress.settings import IngressSettings
from models.topics import catalogue
from streams.engine.kafka.reader import KafkaLogs
from streams.engine.kafka.sender import KafkaSender
from streams.engine.settings import EngineSettings

AS_IT_COMES = {"auto.create.topics.enable": "true", "num.partitions": "1"}
SHORT_OF_ROOM = {"log.retention.bytes": "1048576", "log.retention.ms": "600000", "log.segment.bytes": "1048576"}
IN_A_HURRY = {"log.retention.check.interval.ms": "300", "log.initial.task.delay.ms": "100"}
DAYS_40_MS = 40 * 24 * 3600 * 1000
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain(tmp_path_factory):
    """Return the bootstrap servers of a broker with the settings of its maker, and little room."""
    with pytest.MonkeyPatch.context() as patched:
        given = lambda *args, **ports: properties(*args, **ports) | AS_IT_COMES | SHORT_OF_ROOM | IN_A_HURRY  # noqa: E731
        patched.setattr(cli.broker.kafka, "properties", given)
        async with broker.running(tmp_path_factory.mktemp("plain")) as running:
            yield running.bootstrap_servers


@pytest_asyncio.fixture(loop_scope="module")
async def there(plain):
    """Return the names of all topics there are, those that are being made included."""
    admin = AIOKafkaAdminClient(bootstrap_servers=plain)
    await admin.start()

    async def names():
        # Kafka makes topics one after another: when one made now is there, so is what was begun before.
        last = f"last-{uuid.uuid4().hex}"
        await admin.create_topics([NewTopic(last, 1, 1)])
        async with asyncio.timeout(20):
            while last not in (found := await admin.list_topics()):
                pass
        return found

    yield names
    await admin.close()


@pytest.fixture(autouse=True)
def _as_imported(monkeypatch):
    """Begin each test as a process of its own would."""
    monkeypatch.setattr(MetadataRequest.__init__, "__defaults__", (None, None))


@pytest.fixture
def command(plain, topic_prefix, monkeypatch, tmp_path, capsys):
    """Run `metriport-streams …` in a thread and return its exit code and what it printed as JSON."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", plain)
    monkeypatch.setenv("TOPIC_PREFIX", topic_prefix)
    monkeypatch.setenv("TOPIC_REPLICATION", "1")
    monkeypatch.setenv("TOPIC_PARTITIONS", "3")

    def once(arguments):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--json"])
        return ended.value.code

    async def run(*arguments):
        code = await asyncio.to_thread(once, arguments)
        printed = capsys.readouterr().out
        return code, json.loads(printed) if printed else None

    return run


async def test_the_topics_are_made_with_our_partitions_and_not_by_asking_for_them(command, topic_prefix):
    code, printed = await command("topics", "apply")

    assert (code, printed["differences"]) == (0, [])
    assert printed["created"] == [f"{topic_prefix}{topic.name}" for topic in catalogue()]


async def test_a_command_that_looks_makes_no_topic(command, there, topic_prefix):
    await command("topics", "list")
    await command("tail", "webhooks")

    assert not [name for name in await there() if name.startswith(topic_prefix)]


async def test_an_ingress_whose_topic_is_missing_does_not_make_it(plain, there, topic_prefix):
    name = f"{topic_prefix}webhooks"
    settings = IngressSettings(
        _env_file=None, kafka_bootstrap_servers=plain, metriport_webhook_keys="wh-key_0123456789abc"
    )
    producer = Producer(lambda: connection.producer(settings), name, partitions=3, replace_s=3)
    running = asyncio.create_task(producer.run())

    async with asyncio.timeout(20):
        while producer.state != "topic_missing":  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert name not in await there()


async def test_an_ingress_whose_topic_is_deleted_does_not_make_it_again(plain, there, topic_prefix):
    name = f"{topic_prefix}webhooks"
    settings = IngressSettings(
        _env_file=None, kafka_bootstrap_servers=plain, metriport_webhook_keys="wh-key_0123456789abc"
    )
    client = connection.producer(settings)
    admin = AIOKafkaAdminClient(bootstrap_servers=plain)
    await admin.start()
    await admin.create_topics([NewTopic(name, 3, 1)])
    await client.start()
    async with asyncio.timeout(20):
        while len(await client.partitions_for(name)) != 3:  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(0.05)

    await admin.delete_topics([name])
    for _ in range(3):
        await client.client.force_metadata_update()

    assert name not in await there()
    await client.stop()
    await admin.close()


async def test_a_stage_whose_topics_are_missing_does_not_make_them(plain, there, tmp_path, topic_prefix):
    settings = EngineSettings(
        stage="some",
        app_id=f"{topic_prefix}some",
        bootstrap_servers=plain,
        sources=(f"{topic_prefix}in",),
        partitions=3,
        state_dir=tmp_path,
        request_timeout_s=2.0,
    )
    producer = KafkaSender(settings, silent_s=lambda: 0.0, end=print)
    await producer.start()

    with contextlib.suppress(Exception):
        async with asyncio.timeout(3):
            await KafkaLogs(settings).ends([(f"{topic_prefix}in", 0)])
    with contextlib.suppress(Exception):
        async with asyncio.timeout(3):
            await producer._producer.partitions_for(f"{topic_prefix}out")

    await producer.stop()
    assert not [name for name in await there() if name.startswith(topic_prefix)]


@pytest_asyncio.fixture(loop_scope="module")
async def admin(plain):
    client = AIOKafkaAdminClient(bootstrap_servers=plain)
    await client.start()
    yield client
    await client.close()


async def begins(servers, topic):
    """Return the first offset that is still there."""
    async with AIOKafkaConsumer(bootstrap_servers=servers) as consumer:
        tp = TopicPartition(topic, 0)
        return (await consumer.beginning_offsets([tp]))[tp]


async def write(servers, topic, *, count, value, age_ms=0):
    async with AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=True) as producer:
        for _ in range(count):
            await producer.send(
                topic, value, partition=0, timestamp_ms=int(time.time() * 1000) - age_ms if age_ms else None
            )


async def until_expired(servers, admin, topic, *, configs, **records):
    """Let Kafka look twice for what has expired: each time it takes the records of a topic beside ours."""
    for turn in range(2):
        beside = f"beside-{turn}-{topic}"
        await admin.create_topics([NewTopic(beside, 1, 1, topic_configs=configs)])
        await write(servers, beside, **records)
        async with asyncio.timeout(60):
            while not await begins(servers, beside):  # noqa: ASYNC110 - Kafka tells nobody
                await asyncio.sleep(0.1)


async def test_what_a_broker_keeps_by_default_takes_nothing_of_what_is_kept_for_ever(
    plain, admin, command, topic_prefix
):
    await command("topics", "apply")
    records = {"count": 40, "value": b"x" * 100_000}

    await write(plain, f"{topic_prefix}webhooks", **records)
    await until_expired(plain, admin, topic_prefix, configs={}, **records)

    assert await begins(plain, f"{topic_prefix}webhooks") == 0


async def test_a_clock_that_is_40_days_behind_does_not_let_a_record_expire_at_once(plain, admin, command, topic_prefix):
    await command("topics", "apply")
    records = {"count": 1, "value": b"{}", "age_ms": DAYS_40_MS}
    by_the_host = {"retention.ms": str(DAYS_40_MS // 40 * 30), "message.timestamp.type": "CreateTime"}

    await write(plain, f"{topic_prefix}patient.admit", **records)
    await until_expired(plain, admin, topic_prefix, configs=by_the_host, **records)

    assert await begins(plain, f"{topic_prefix}patient.admit") == 0


async def test_a_clock_that_is_40_days_ahead_is_not_refused_and_keeps_nothing_longer(plain, command, topic_prefix):
    await command("topics", "apply")

    await write(plain, f"{topic_prefix}patient.admit", count=1, value=b"{}", age_ms=-DAYS_40_MS)

    async with AIOKafkaConsumer(bootstrap_servers=plain, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition(f"{topic_prefix}patient.admit", 0)])
        record = await consumer.getone()
    assert abs(record.timestamp / 1000 - time.time()) < 3600


async def test_the_table_of_a_stage_keeps_what_a_broker_would_not(plain, admin, command, topic_prefix):
    await command("topics", "apply")
    changelog = f"{topic_prefix}deliveries-state-changelog"
    records = {"count": 40, "value": b"x" * 100_000}

    async with AIOKafkaProducer(bootstrap_servers=plain) as producer:
        for number in range(40):
            await producer.send(changelog, records["value"], key=b"%d" % number, partition=0)
    await until_expired(plain, admin, changelog, configs={}, **records)

    assert await begins(plain, changelog) == 0
