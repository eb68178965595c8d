"""The broker's own configuration: one KRaft node that is small, quick to start and never surprises."""

VERSION = "4.3.1"
RECORD_BYTES_MAX = 40 * 1024 * 1024
CLEANER_BYTES = 32 * 1024 * 1024


def properties(log_dir: str, *, port: int, controller_port: int) -> dict[str, str]:
    """Return Kafka's settings for one node that listens on 127.0.0.1 only."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": log_dir,
        "auto.create.topics.enable": "false",
        "message.max.bytes": str(RECORD_BYTES_MAX),
        "replica.fetch.max.bytes": str(RECORD_BYTES_MAX),
        # One node: nothing to replicate to, and one partition of each internal topic is quick to create and recover.
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # After a kill, the next start waits until the controller has given up on the killed one: 9 s by default.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        # The default asks for a quarter of the heap.
        "log.cleaner.dedupe.buffer.size": str(CLEANER_BYTES),
    }


def as_file(settings: dict[str, str]) -> str:
    """Return the settings in the form of a Java properties file."""
    return "".join(f"{name}={value.replace(chr(92), chr(92) * 2)}\n" for name, value in settings.items())
