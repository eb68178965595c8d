"""Fails when what the ingress leans on of aiokafka, beyond its API, changes."""

import inspect

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.partitioner import DefaultPartitioner

from ingress.connection import Partitioner


async def test_the_private_names_that_abandoning_a_producer_needs_are_there():
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:9", enable_idempotence=True)
    private = (producer._closed, producer._sender.sender_task, producer.client._md_update_fut)

    producer._closed = True

    assert private == (False, None, None)
    assert "shield(self._md_update_fut)" in inspect.getsource(AIOKafkaClient._maybe_wait_metadata)
    assert "_md_update_fut" in inspect.getsource(AIOKafkaClient.force_metadata_update)


def test_a_key_goes_to_the_partition_that_javas_default_chooses():
    partitions = list(range(12))
    keys = [f"p-{number}".encode() for number in range(1000)]

    chosen = [Partitioner(12)(key, partitions, partitions) for key in keys]

    assert chosen == [DefaultPartitioner()(key, partitions, partitions) for key in keys]


def test_a_record_without_a_key_goes_to_a_partition_that_is_available():
    assert Partitioner(3)(None, [0, 1, 2], [1]) == 1


def test_partitions_that_somebody_added_are_not_used():
    keys = [*(f"p-{number}".encode() for number in range(1000)), *[None] * 100]
    ours, theirs = list(range(12)), list(range(16))

    chosen = [Partitioner(12)(key, theirs, theirs) for key in keys]

    assert chosen[:1000] == [DefaultPartitioner()(key, ours, ours) for key in keys[:1000]]
    assert max(chosen) < 12
