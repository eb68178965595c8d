"""Every exception of the service that leaves its module, drawn; those of one part are with its code, the others here.

    MetriportStreamsError
    ├── Refused                 the delivery was not kept, and the sender was told so
    │   ├── BadRequest          400 bad_request
    │   ├── BadSignature        401 bad_signature
    │   ├── SlowHead            408 slow_head
    │   ├── SlowBody            408 slow_body
    │   ├── TooLarge            413 too_large
    │   ├── EncodedBody         415 encoded_body
    │   ├── HeadTooLarge        431 head_too_large
    │   └── CannotKeep          503 cannot_keep
    ├── Poison                  a record that can never be processed: quarantine, with a reason
    ├── Misconfigured           the installation cannot work as it is; says what to change
    ├── NotPublished            ingress.session: Kafka did not acknowledge the records
    │   └── Unavailable         ingress.session: nothing was sent
    ├── TopicMissing            ingress.session: `webhooks` does not exist
    ├── SpoolFull               ingress.spool_file: no room for this delivery
    ├── SpoolFailed             ingress.spool_writer: the disk did not do what it was asked
    ├── SpoolDamaged            ingress.spool_inspection: the file does not hold what was written
    ├── InUse                   ingress.set_aside: another process reads this set-aside spool
    ├── Fatal                   streams.engine.fatal: the stage cannot go on, and the process ends
    ├── Unavailable             streams.engine.job: what the stage depends on is away, and the process ends
    ├── Interrupted             streams.engine.work.assignment: the partitions went in the middle of long work
    │   └── Paused              streams.engine.work.pause: too much would be refused: an operator has to decide
    ├── Unlike                  streams.deliveries.level: an object is not quite as known after all
    ├── Failure                 streams.links.fetching.retry: one attempt at a link failed, with a reason
    ├── AddressRefused          streams.links.fetching.client: a link leads to an address that is not public
    ├── CannotInflate           streams.links.fetching.body: not a whole gzip stream
    ├── TooInflated             streams.links.fetching.body: the stream grows beyond the limits
    ├── StoreUnavailable        streams.links.fetching.retry: the blob store takes nothing
    ├── NotAResult              streams.links.publishing.bulk_csv: the file is no result of a bulk create
    ├── Unwanted                streams.bundles.bundle.progress: nobody waits for this bundle any more
    ├── Lost                    streams.bundles.validation.pool: a process died, or did not answer in time
    ├── Unassembled             streams.bundles.validation.schema: a shape that the fast check does not know
    ├── Superseded              cli.replay.sending: another run of the same plan has taken over
    └── BrokerError             cli.broker.errors: a broker could not be started, stopped or reached
        ├── NoJava              cli.broker.errors: no Java here can run a Kafka
        ├── FetchFailed         cli.broker.errors: Kafka's jars could not be fetched
        ├── PortTaken           cli.broker.errors: something else listens on the port asked for
        ├── DiskFull            cli.broker.errors: too little room in the data folder
        ├── AlreadyRunning      cli.broker.errors: another run uses the data folder
        ├── StartFailed         cli.broker.errors: the process ended before it was ready
        │   └── Gone            cli.processes: one that the service cannot do without ended
        └── Unreachable         cli.broker.errors: nobody answers at the address

A `reason` is a word from a closed set and is the same everywhere: in the answer, in the header, as the metric's label.
No message here ever carries a value that came with a delivery.
"""

from typing import ClassVar

from models.reasons import Reason


class MetriportStreamsError(Exception):
    """Something went wrong that has a name."""


class Refused(MetriportStreamsError):
    """The delivery was not kept. Metriport records a failure, to be sent again by hand."""

    status: ClassVar[int]
    reason: ClassVar[str]


class BadRequest(Refused):
    """What came is not HTTP/1.1, or nothing that two readers would understand alike."""

    status = 400
    reason = "bad_request"


class BadSignature(Refused):
    """None of the configured keys signed these bytes, or there was not exactly one signature, in Metriport's form.

    Operator action: compare `METRIPORT_WEBHOOK_KEYS` with the key in Metriport's dashboard; `metriport-streams verify`
    tells which key signed a saved body.
    """

    status = 401
    reason = "bad_signature"


class SlowHead(Refused):
    """The request line and the headers did not arrive within `HEAD_TIMEOUT_S`."""

    status = 408
    reason = "slow_head"


class SlowBody(Refused):
    """The body did not arrive within `BODY_TIMEOUT_S`."""

    status = 408
    reason = "slow_body"


class TooLarge(Refused):
    """The body is larger than `BODY_BYTES_MAX`.

    Operator action: raise `BODY_BYTES_MAX` (and the broker's `message.max.bytes`), then ask Metriport to retry.
    """

    status = 413
    reason = "too_large"


class EncodedBody(Refused):
    """The body is encoded; the signature is over the bytes as sent, so it is not decoded."""

    status = 415
    reason = "encoded_body"


class HeadTooLarge(Refused):
    """The request line and the headers together are larger than `HEAD_BYTES_MAX`, or too many.

    Operator action: if a proxy in front adds that much, raise `HEAD_BYTES_MAX`, or have it add less.
    """

    status = 431
    reason = "head_too_large"


class CannotKeep(Refused):
    """Neither Kafka nor the spool can take the delivery durably right now.

    Operator action: `GET /ready` names what is wrong with each of the two ways.
    """

    status = 503
    reason = "cannot_keep"


class Poison(MetriportStreamsError):
    """A record that can never be processed: a poison message. It goes to its stage's quarantine topic, byte for byte.

    `reason` is a word of its stage (`models.reasons`) and never carries data; its neighbours go on. What is only
    away is `streams.engine.job.Unavailable`.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Misconfigured(MetriportStreamsError):
    """The installation cannot work as it is; the message says what to change."""
