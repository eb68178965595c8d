"""What can go wrong with a broker, each with the exit code of the command and what a person can do about it.

BrokerError
├── NoSource          nothing on this machine can run a Kafka
├── FetchFailed       the jars could not be fetched
├── JavaTooOld        the Java found cannot run this Kafka
├── PortTaken         something else listens on the port asked for
├── DiskFull          too little room in the data folder
├── AlreadyRunning    another run uses the data folder
├── StartFailed       the process ended before it was ready
└── Unreachable       nobody answers at the address
"""


class BrokerError(Exception):
    """A broker could not be started, stopped or reached; the message says what to do."""

    exit_code = 1


class NoSource(BrokerError):
    """Nothing on this machine can run a Kafka.

    Operator action: install Java 17 and Maven, or Docker, or set KAFKA_BOOTSTRAP_SERVERS.
    """


class FetchFailed(BrokerError):
    """Maven could not fetch the jars.

    Operator action: read the lines of Maven's own message; usually the network or a proxy.
    """


class JavaTooOld(BrokerError):
    """The Java found cannot run this Kafka.

    Operator action: install Java 17 or newer, or set JAVA_HOME to one.
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
