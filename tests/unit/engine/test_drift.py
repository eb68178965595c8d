"""Fails when something in Faust, mode or aiokafka changes that the engine overrides or relies on.

Then: read the upstream change, run the broker tests and `python -m tests.faults.engine --full`, and write the table
anew with `python tests/unit/engine/test_drift.py > tests/unit/engine/upstream.json`.
"""

import hashlib
import importlib
import importlib.metadata
import inspect
import json
import sys
from pathlib import Path

import faust.streams
import faust.transport.conductor
import pytest

TABLE = Path(__file__).with_name("upstream.json")
VERSIONS = {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0", "rocksdict": "0.3.29"}

CONSUMER = "faust.transport.consumer:Consumer"
DELEGATE = "faust.transport.consumer:ThreadDelegateConsumer"
DRIVER = "faust.transport.drivers.aiokafka"
RECOVERY = "faust.tables.recovery:Recovery"
TABLES = "faust.tables.manager:TableManager"
STORE = "faust.stores.rocksdb:Store"
APP = "faust.app.base:App"
GROUP = "aiokafka.consumer.group_coordinator:GroupCoordinator"
FETCHER = "aiokafka.consumer.fetcher"
RECORDS = "aiokafka.record.default_records:_DefaultRecordBatchPy"
ACCUMULATOR = "aiokafka.producer.message_accumulator"

OVERRIDDEN = (
    *(f"{CONSUMER}.{name}" for name in ("on_partitions_revoked", "resume_partitions")),
    *(f"{CONSUMER}.{name}" for name in ("perform_seek", "resume_flow", "stop_flow", "getmany", "ack")),
    *(f"{CONSUMER}.{name}" for name in ("_filter_tps_with_pending_acks", "_new_offset")),
    *(f"{DELEGATE}.{name}" for name in ("_getmany", "seek_to_committed", "_commit", "close", "_new_consumer_thread")),
    *(f"{DRIVER}:Consumer.{name}" for name in ("_to_message", "verify_event_path")),
    *(f"{DRIVER}:AIOKafkaConsumerThread.{name}" for name in ("on_start", "_create_worker_consumer")),
    *(f"{RECOVERY}.{name}" for name in ("on_rebalance", "on_partitions_revoked", "on_stop")),
    f"{TABLES}.recovery",
    f"{STORE}._open_for_partition",
    *(f"{GROUP}.{name}" for name in ("_do_heartbeat", "_send_req")),
    "aiokafka.client:AIOKafkaClient.send",
)

# The order of their calls, and who reads which attribute.
RELIED_ON = (
    *(f"{CONSUMER}.{name}" for name in ("_drain_messages", "_wait_next_records", "wait_empty", "on_stop", "commit")),
    *(f"{CONSUMER}.{name}" for name in ("force_commit", "_commit_tps", "_filter_committable_offsets")),
    *(f"{CONSUMER}.{name}" for name in ("_should_commit", "_commit_offsets", "_is_changelog_tp")),
    *(f"{DRIVER}:AIOKafkaConsumerThread.{name}" for name in ("_fetch_records", "_seek_wait", "_commit")),
    *(f"{CONSUMER}.{name}" for name in ("_commit_livelock_detector", "verify_all_partitions_active")),
    f"{DRIVER}:ConsumerRebalanceListener.on_partitions_assigned",
    *(f"{APP}.{name}" for name in ("_on_partitions_revoked", "_on_partitions_assigned", "_stop_consumer")),
    *(f"{APP}.{name}" for name in ("_on_rebalance_when_stopped", "_consumer_wait_empty")),
    "faust.types.tuples:ConsumerMessage.on_final_ack",
    *(f"{RECOVERY}.{name}" for name in ("on_recovery_completed", "_restart_recovery", "_add", "need_recovery")),
    *(f"{RECOVERY}.{name}" for name in ("_build_highwaters", "_build_offsets", "_is_changelog_tp")),
    f"{TABLES}.on_rebalance",
    *(f"{STORE}.{name}" for name in ("_db_for_partition", "_try_open_db_for_partition", "persisted_offset")),
    *(f"{STORE}.{name}" for name in ("revoke_partitions", "assign_partitions", "partition_path")),
    "aiokafka.consumer.consumer:AIOKafkaConsumer.seek_to_committed",
    *(f"aiokafka.client:AIOKafkaClient.{name}" for name in ("_get_conn", "ready")),
    *(f"aiokafka.protocol.metadata:MetadataRequest.{name}" for name in ("__init__", "build")),
    "aiokafka.client:AIOKafkaClient._metadata_update",
    f"{FETCHER}:Fetcher.fetched_records",
    *(f"{FETCHER}:FetchResult.{name}" for name in ("getall", "check_assignment")),
    *(f"{FETCHER}:{name}" for name in ("PartitionRecords._unpack_records", "Fetcher._proc_fetch_request")),
    *(f"{RECORDS}.{name}" for name in ("_maybe_uncompress", "_read_msg", "__iter__", "__next__")),
    *(f"{GROUP}.{name}" for name in ("ensure_active_group", "_heartbeat_routine")),
    "aiokafka.consumer.group_coordinator:CoordinatorGroupRebalance._send_sync_group_request",
    *(f"aiokafka.producer.producer:AIOKafkaProducer.{name}" for name in ("send_batch", "create_batch")),
    *(f"{ACCUMULATOR}:BatchBuilder.{name}" for name in ("append", "close", "size", "record_count")),
    *(f"{ACCUMULATOR}:{name}" for name in ("MessageAccumulator.add_batch", "MessageBatch.done")),
    *(f"aiokafka.producer.sender:{name}" for name in ("Sender._sender_routine", "SendProduceReqHandler.do")),
)


def digest(name: str) -> str:
    module, path = name.split(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = inspect.getattr_static(found, part)
    if isinstance(found, property):
        found = found.fget
    function = inspect.unwrap(getattr(found, "fun", found))  # `fun`: what a mode.ServiceTask wraps
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:12]


def table() -> dict[str, str]:
    return {name: digest(name) for name in sorted({*OVERRIDDEN, *RELIED_ON})}


@pytest.mark.parametrize("package", VERSIONS)
def test_the_version_is_the_one_that_was_read_and_measured(package):
    installed = importlib.metadata.version(package)

    assert installed == VERSIONS[package]


@pytest.mark.parametrize("name", sorted({*OVERRIDDEN, *RELIED_ON}))
def test_the_upstream_source_is_the_one_that_was_read(name):
    expected = json.loads(TABLE.read_text())[name]

    assert digest(name) == expected


def test_the_table_lists_nothing_else():
    listed = json.loads(TABLE.read_text())

    assert set(listed) == {*OVERRIDDEN, *RELIED_ON}


def test_faust_runs_on_its_compiled_extensions():
    # The pure Python stream acknowledges messages that it skips.
    assert faust.streams._CStreamIterator is not None
    assert faust.transport.conductor.ConductorHandler is not None


if __name__ == "__main__":
    json.dump(table(), sys.stdout, indent=2)
    sys.stdout.write("\n")
