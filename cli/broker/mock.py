"""librdkafka's mock of a Kafka, from the confluent-kafka wheel: in memory, with topics that make themselves."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

from cli.broker.errors import PortTaken
from cli.broker.launch import Launch

PARTITIONS = 4  # of every topic; librdkafka has no setting for it here
SERVER = Path(__file__).with_name("mock_server.py")


class Mock:
    """A mock for trying things out, where nothing else can run."""

    name = "librdkafka's mock"

    def available(self) -> bool:
        """Say whether the confluent-kafka wheel is installed."""
        return importlib.util.find_spec("confluent_kafka") is not None

    def prepare(self, data_dir: Path, port: int | None, log: Path, say: Callable[[str], None]) -> Launch:  # noqa: ARG002 - it logs by itself
        """Say what this is, and return the command."""
        if port is not None:
            raise PortTaken("The mock broker chooses its own port; leave --port out, or install Java 17 and Maven.")
        say(
            "Neither Java with Maven nor Docker was found: this is librdkafka's mock of a Kafka, for trying out only. "
            f"It keeps all in memory, forgets the oldest records, and every topic has {PARTITIONS} partitions."
        )
        port_file = data_dir / "port"
        port_file.unlink(missing_ok=True)
        return Launch(command=[sys.executable, str(SERVER), str(port_file)], port_file=port_file)
