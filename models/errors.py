"""Everything that can be wrong with a delivery or with this installation.

    MetriportStreamsError
    ├── Refused             the delivery was not kept, and the sender was told so
    │   ├── BadRequest          400 bad_request
    │   ├── BadSignature        401 bad_signature
    │   ├── SlowHead            408 slow_head
    │   ├── SlowBody            408 slow_body
    │   ├── TooLarge            413 too_large
    │   ├── EncodedBody         415 encoded_body
    │   ├── HeadTooLarge        431 head_too_large
    │   └── CannotKeep          503 cannot_keep
    ├── Poison              can never be processed: kept byte for byte in the quarantine topic, with a reason
    └── Misconfigured       the installation cannot work as it is; says what to change

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
