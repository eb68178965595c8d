"""What the stages read in a benchmark: deliveries of every type about 2,000 patients, each tenth one a repeat."""

import json
from itertools import cycle

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ingress.records import Delivery, records
from models import envelope, samples, topics

PARTITIONS = 4
PATIENTS = 2_000
RECEIVED_AT = "2026-11-22T10:00:00.000Z"
AGAIN_EVERY, AGAIN_BACK = 10, 7


def bodies(count: int, size: int) -> list[bytes]:
    """Return deliveries of about `size` bytes; below 2 kB as Metriport's samples are, above with more documents."""
    names = topics.PER_PATIENT_TYPES if size < 2_000 else ("medical.document-download",)
    texts = {name: samples.encode(samples.load(name)) for name in names}
    made: list[bytes] = []
    for number, name in zip(range(count), cycle(names), strict=False):
        if number % AGAIN_EVERY == AGAIN_EVERY - 1:
            made.append(made[-AGAIN_BACK])
            continue
        delivery = json.loads(texts[name])
        delivery["meta"]["messageId"] = f"{number:08}-2f1b-4c1f-8c7e-1f9f0b1f6d21"
        entry = delivery.get("payload") or delivery["patients"][0]
        entry["patientId"] = f"01936b20-48f8-7d49-8bc6-{number % PATIENTS:012}"
        if size >= 2_000:
            entry["documents"] *= size // 1_000
        made.append(samples.encode(delivery))
    return made


async def create(servers: str, *names: str, compacted: bool = False) -> None:
    """Create topics."""
    config = {"cleanup.policy": "compact"} if compacted else {}
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=config) for name in names])
    while {topic["error_code"] for topic in await admin.describe_topics(list(names))} != {0}:
        pass
    await admin.close()


async def fill(servers: str, topic: str, sent: list[bytes]) -> None:
    """Write deliveries as the ingress does."""
    async with AIOKafkaProducer(bootstrap_servers=servers, linger_ms=5, max_batch_size=500_000) as producer:
        for body in sent:
            for record in records(Delivery(body, RECEIVED_AT), envelope.read(body), body_bytes_max=2**20):
                await producer.send(topic, record.value, key=record.key, headers=record.headers)
