"""What the table of the patients stage holds: the shape of each value as JSON, by the beginning of its key.

The fold works on plain objects, and carries on what another version noted beside. What this version writes has these
fields and no others: the tests hold every change of the table against them.
"""

from collections.abc import Mapping
from typing import Any

from models.messages import RequestKind
from models.records import Record

Version = list[str]  # [when, message id]
Rank = list[bool | str]  # [is final, when, message id, status]


class Status(Record):
    """What decides which status stays, and the status."""

    status: str | None = None
    when: str | None = None
    rank: Rank | None = None


class Message(Status):
    """The newest message of one type."""

    request_id: str | None = None


class Pages(Record):
    """Which of the pages of one request have come."""

    total: int
    seen: list[int]


class DatedPages(Pages):
    """Those of one of the requests that are remembered; `at` is the newest message about it."""

    at: Version


class Stay(Record):
    """One stay, as far as it is known."""

    admit: str | None = None
    discharge: str | None = None
    transfers: list[dict[str, Any]]
    versions: dict[str, Version] | None = None


class Resources(Record):
    """What `fhir.state.*` has of the patient, as of the change with this number."""

    sequence: int
    by_type: dict[str, int]


class CompleteSnapshot(Record):
    """The newest snapshot that held all there is."""

    snapshot_id: str | None
    by_type: dict[str, int]
    rejected: int


class Counts(Record):
    """How many there are by outcome."""

    stored: int = 0
    expired: int = 0
    failed: int = 0
    newest: str | None = None


class Patient(Record):
    """`p/<patient>`."""

    patient_id: str
    external_id: str | None = None
    metadata: dict[str, Any] | None = None
    additional_ids: dict[str, list[Any]] | None = None
    versions: dict[str, Version] | None = None
    first_seen: str | None = None
    last_seen: str | None = None
    messages: dict[str, Message] | None = None
    pages: dict[str, dict[str, DatedPages]] | None = None
    stays: dict[str, Stay] | None = None
    resources: Resources | None = None
    snapshot: CompleteSnapshot | None = None
    documents: Counts | None = None
    bundles: Counts | None = None


class Request(Record):
    """`q/<patient>/<request>`."""

    patient_id: str
    request_id: str
    kind: RequestKind
    messages: dict[str, Status]
    sources: dict[str, Status]
    pages: Pages | None = None
    first_seen: str | None = None
    last_seen: str | None = None


class BulkCreate(Record):
    """`j/<request>`."""

    request_id: str
    when: str | None = None
    status: str | None = None
    rank: Rank | None = None
    counts: dict[str, int] | None = None


# `i/<patient>/<item>`: [when, message id, rank of the outcome, outcome].
# `r/<request>/<row>`: [when, message id, status].
Counted = list[str | int]

SHAPES: Mapping[bytes, Any] = {b"p/": Patient, b"q/": Request, b"j/": BulkCreate, b"i/": Counted, b"r/": Counted}
