"""One link to fetch, and what came of it: the words between the work list, the fetchers and the records."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec

from models.reasons import LinkReason
from streams.links.content_type import Kind

STATE_PREFIX = b"l/"
_ID_BYTES_MAX = 512
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP_MS_MAX = 200_000_000_000_000  # in the year 8307


class Link(msgspec.Struct, frozen=True, omit_defaults=True):
    """One link as the stage's table lists it. It holds the URL, a secret: never log or print one."""

    id: str  # the `ce_id` of the record it becomes, derived from its delivery alone
    kind: Literal["document", "bundle", "bulk-result"]
    urls: tuple[str, ...]  # the first is taken; the others lead to the same content
    key: str  # the patient's id, or the bulk job's
    source: str  # the record it came with: `topic/partition/offset`
    index: int  # its place among the links of that record
    order: int  # the place of its delivery among all of its partition
    deadline: datetime
    expects: Kind
    record: dict[str, Any]  # what is known of the record before anything is fetched
    timestamp_ms: int = 0  # Kafka's, of the record it came with
    settled: "Settled | None" = None  # known without fetching
    fetched: "Facts | None" = None  # a bulk result that is in the store, its rows not all published
    rows_done: int = 0

    def __repr__(self) -> str:
        """Say which one it is, and nothing that was sent to us."""
        return f"Link({self.kind})"

    @property
    def strict(self) -> bool:
        """Whether the body must show that it is of the expected kind: Metriport made it itself."""
        return self.kind == "bundle"


class Settled(msgspec.Struct, frozen=True):
    """An outcome that was clear from the delivery."""

    outcome: Literal["stored", "failed"]
    reason: LinkReason | None = None


class Facts(NamedTuple):
    """What was received, and where it is kept."""

    bytes: int
    sha256: str
    blob: str
    etag: str | None
    last_modified: str | None


class Outcome(NamedTuple):
    """How one link ended. Bytes that came but are not what they should be are kept: `facts` of a failure."""

    outcome: Literal["stored", "expired", "failed"]
    reason: LinkReason | None = None
    facts: Facts | None = None
    at: datetime | None = None


def moment(timestamp_ms: int) -> datetime:
    """Return a time of Kafka's in UTC; one that no calendar has becomes the nearest that leaves room for a deadline."""
    return _EPOCH + timedelta(milliseconds=min(max(timestamp_ms, 0), _TIMESTAMP_MS_MAX))


def encode(link: Link) -> bytes:
    """Return the link as the table keeps it."""
    return msgspec.json.encode(link)


def decode(value: bytes) -> Link:
    """Return a link as it was encoded."""
    return msgspec.json.decode(value, type=Link)


def state_key(link: Link) -> bytes:
    """Return the key of the link in the stage's table."""
    name = link.id.encode()
    return STATE_PREFIX + (name if len(name) <= _ID_BYTES_MAX else hashlib.sha256(name).hexdigest().encode())
