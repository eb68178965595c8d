"""What is known to come where a field's type in `models.wire` is wider than that, or says nothing of what is inside.

From `medical/webhook/webhook-request` of the npm package `@metriport/shared` 0.37.0,
https://docs.metriport.com/medical-api/handling-data/webhooks, and what was seen to come.
"""

from dataclasses import dataclass
from typing import Any, Literal, Required, TypedDict


@dataclass(frozen=True)
class Sent:
    """What is known to come in a field: `shape` as a type, in which None is JSON's null.

    `Never`: only other messages have the field. `always`: no message lacks it.
    """

    shape: Any
    always: bool = False


class Coding(TypedDict, total=False):
    """FHIR's Coding."""

    system: str | None
    code: str | None
    display: str | None


class Concept(TypedDict, total=False):
    """FHIR's CodeableConcept."""

    coding: list[Coding]
    text: str


class Organization(TypedDict, total=False):
    """Who holds a document."""

    name: str
    identifierValues: list[str]


class Location(TypedDict, total=False):
    """Where a patient was, or went."""

    name: str
    type: str


class Transfer(TypedDict, total=False):
    """One move of a stay."""

    timestamp: str
    sourceLocation: Location
    destinationLocation: Location


class Attachment(TypedDict):
    """One format of the consolidated record."""

    contentType: Literal["application/json", "application/gzip", "application/pdf", "text/html"]
    url: str


class Content(TypedDict):
    """FHIR's DocumentReference.content."""

    attachment: Attachment


class Subject(TypedDict, total=False):
    """Whose the record is."""

    reference: str


class Offer(TypedDict, total=False):
    """The DocumentReference that offers the consolidated record."""

    resourceType: Required[Literal["DocumentReference"]]
    content: Required[list[Content]]
    subject: Subject


class Entry(TypedDict):
    """FHIR's Bundle.entry."""

    resource: Offer


class Offers(TypedDict, total=False):
    """The bundle of links; the documentation calls it a collection, the code a searchset."""

    resourceType: Required[Literal["Bundle"]]
    type: Literal["searchset", "collection"]
    total: int
    entry: list[Entry]
