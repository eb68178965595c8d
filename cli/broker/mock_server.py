"""The process of the mock broker: `mock_server.py PORT_FILE`. The port is in the file when it answers."""

import signal
import sys
from pathlib import Path

from confluent_kafka import Producer

METADATA_TIMEOUT_S = 30


def main(port_file: Path) -> None:
    """Serve until told to end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    # The mock lives inside a client and as long as it.
    client = Producer({"test.mock.num.brokers": 1})
    [broker] = client.list_topics(timeout=METADATA_TIMEOUT_S).brokers.values()
    half = port_file.with_suffix(".half")
    half.write_text(str(broker.port))
    half.rename(port_file)
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
