"""A Kafka for people who have none: one node, on this machine, for the demo, for `make run` and for the tests."""

from cli.broker.errors import BrokerError
from cli.broker.server import Broker, Status, running, start, status, stop

__all__ = ["Broker", "BrokerError", "Status", "running", "start", "status", "stop"]
