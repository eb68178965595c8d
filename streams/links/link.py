"""Describe one link to fetch, and how it ended: the words that listing, fetching and publishing share. Pure."""

from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from models import keys
from models.reasons import LinkReason
from streams.links.content_type import Kind

STATE_PREFIX = b"l/"
_ID_BYTES_MAX = 512


class Link(msgspec.Struct, frozen=True, omit_defaults=True, rename={"early": "settled"}):
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
    early: "EarlyOutcome | None" = None  # known without fetching; in the table, `settled`
    fetched: "StoredBody | None" = None  # a bulk result that is in the store, its rows not all published
    rows_done: int = 0
    released: str = ""  # where in quarantine the record it came with stood, if it was released from there

    def __repr__(self) -> str:
        """Say which one it is, and nothing that was sent to us."""
        return f"Link({self.kind})"

    @property
    def strict(self) -> bool:
        """Return whether the body must show that it is of the expected kind: Metriport made it itself."""
        return self.kind == "bundle"


class EarlyOutcome(msgspec.Struct, frozen=True):
    """An outcome that was clear from the delivery."""

    outcome: Literal["stored", "failed"]
    reason: str | None = None  # a `LinkReason`; what a newer version listed is read, too


class StoredBody(NamedTuple):
    """A body in the blob store."""

    bytes: int
    sha256: str  # in hex
    blob: str  # its key
    etag: str | None  # as the answer said
    last_modified: str | None  # as the answer said


class Outcome(NamedTuple):
    """How one link ended. Bytes that came but are not what they should be are kept: `body` of a failure."""

    outcome: Literal["stored", "expired", "failed"]
    reason: LinkReason | None = None
    body: StoredBody | None = None
    at: datetime | None = None


class Ended(NamedTuple):
    """A link, and how it ended."""

    link: Link
    outcome: Outcome


def encode(link: Link) -> bytes:
    """Return the link as the table keeps it."""
    return msgspec.json.encode(link)


def decode(value: bytes) -> Link:
    """Return a link as it was encoded."""
    return msgspec.json.decode(value, type=Link)


def state_key(link: Link) -> bytes:
    """Return the key of the link in the stage's table."""
    return STATE_PREFIX + keys.short(link.id.encode(), bytes_max=_ID_BYTES_MAX)
