"""Every type of message that has a model here: what Metriport sends, what it becomes, which links it carries.

A new type is one entry of this table, its wire and record models, and a sample. Topics, schemas, normalization, links
and their deadlines, the patient's state and the demo derive from it. What is not in it goes to `unrecognised`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models import records, wire

BULK_PATIENT_CREATE = "medical.bulk-patient-create"


@dataclass(frozen=True)
class DocumentLinks:
    """A document behind each entry of `documents`."""


@dataclass(frozen=True)
class OfferedLinks:
    """The consolidated record, in the formats that the bundle of links offers."""


@dataclass(frozen=True)
class BulkResultLink:
    """The rows of a bulk create, behind `result`."""


@dataclass(frozen=True)
class BundleLink:
    """One FHIR bundle in JSON behind the record's `field`.

    `needs_status`: the field may hold a link although there is nothing new behind it; only this status says that
    there is.
    """

    field: str
    kind: Literal["consolidated", "encounter", "notification"]
    complete: bool = False
    needs_status: str | None = None


Links = DocumentLinks | OfferedLinks | BulkResultLink | BundleLink


RequestKind = Literal["network-query", "document-query", "bulk-links", "consolidated-query"]


@dataclass(frozen=True, kw_only=True)
class MessageType:
    """One `meta.type`; `link_life_s` is how long its links live where they do not say so themselves."""

    name: str
    says: str
    wire: type[wire.Wire]
    record: type[records.Common]
    scope: Literal["patient", "bulk"] = "patient"
    links: Links | None = None
    link_life_s: int = 180
    answers: RequestKind | None = None  # the kind of request whose `requestId` it carries
    brings: str | None = None  # the other type that the same request sends, before or after it
    brings_even_if_failed: bool = True
    is_preliminary: bool = False  # says nothing of how its request ends
    is_stay: bool = False  # an admission, a transfer or a discharge: part of a stay in the patient's state
    retention_days: int = 30


def _network_query(source: str, says: str) -> MessageType:
    return MessageType(
        name=f"network-query.{source}",
        says=says,
        wire=wire.NetworkQueryPayload,
        record=records.NetworkQuery,
        # The schema asks for the link even where the source failed; it then leads to what was there before.
        links=BundleLink("consolidatedDataUrl", kind="consolidated", needs_status="completed"),
        answers="network-query",
    )


def _stay(name: str, says: str) -> MessageType:
    return MessageType(
        name=name,
        says=says,
        wire=wire.AdtPayload,
        record=records.PatientAdt,
        links=BundleLink("url", kind="encounter", complete=True),
        link_life_s=600,
        is_stay=True,
    )


# https://docs.metriport.com/medical-api/handling-data/webhooks, and `medical/webhook/webhook-request` of the npm
# package `@metriport/shared`; `medical.discharge-summary` is in neither, but customers receive it.
_ALL = (
    MessageType(
        name="medical.document-download",
        says="a document query ended: the documents that are new",
        wire=wire.DocumentsEntry,
        record=records.DocumentDownload,
        answers="document-query",
        brings="medical.document-conversion",
        brings_even_if_failed=False,
    ),
    MessageType(
        name="medical.document-conversion",
        says="the conversion of documents to FHIR ended",
        wire=wire.PatientEntry,
        record=records.DocumentConversion,
        answers="document-query",
        brings="medical.document-download",
    ),
    MessageType(
        name="medical.document-bulk-download-urls",
        says="links to all of a patient's documents",
        wire=wire.LinkedDocumentsEntry,
        record=records.DocumentBulkDownloadUrls,
        links=DocumentLinks(),
        answers="bulk-links",
        link_life_s=600,
    ),
    MessageType(
        name="medical.document-bulk-download-paged",
        says="one page of the links to all of a patient's documents",
        wire=wire.PagedDocumentsEntry,
        record=records.DocumentBulkDownloadPaged,
        links=DocumentLinks(),
        answers="bulk-links",
        link_life_s=600,
    ),
    MessageType(
        name="medical.consolidated-data",
        says="links to a patient's consolidated FHIR data",
        wire=wire.ConsolidatedEntry,
        record=records.ConsolidatedData,
        links=OfferedLinks(),
        answers="consolidated-query",
    ),
    MessageType(
        name="medical.discharge-summary",
        says="a discharge summary came, with a link to its FHIR bundle",
        wire=wire.AdtPayload,
        record=records.PatientAdt,
        links=BundleLink("url", kind="notification"),
        link_life_s=600,
    ),
    _network_query("hie", "a network query's answer from the health information exchanges"),
    _network_query("pharmacy", "a network query's answer from pharmacies"),
    _network_query("lab", "a network query's answer from laboratories"),
    MessageType(
        name="network-query.hie.first-data-ready",
        says="the first data of a network query, while it goes on",
        wire=wire.EarlyPayload,
        record=records.NetworkQuery,
        links=BundleLink("consolidatedDataUrl", kind="consolidated"),
        answers="network-query",
        brings="network-query.hie",
        is_preliminary=True,
    ),
    _stay("patient.admit", "a stay began"),
    _stay("patient.transfer", "a stay moved"),
    _stay("patient.discharge", "a stay ended"),
    MessageType(
        name="patient.pharmacy",
        says="a medication was dispensed, with a link to its FHIR bundle",
        wire=wire.PharmacyPayload,
        record=records.PatientPharmacy,
        links=BundleLink("url", kind="notification"),
        link_life_s=600,
    ),
    MessageType(
        name="patient.laboratory",
        says="laboratory results came, with a link to their FHIR bundle",
        wire=wire.LaboratoryPayload,
        record=records.PatientLaboratory,
        links=BundleLink("url", kind="notification"),
        link_life_s=600,
    ),
    MessageType(
        name="message.status",
        says="a message to another provider was delivered, or not",
        wire=wire.MessageStatusPayload,
        record=records.MessageStatus,
    ),
    MessageType(
        name=BULK_PATIENT_CREATE,
        says="a bulk patient create moved on",
        wire=wire.BulkPatientCreate,
        record=records.BulkPatientCreate,
        scope="bulk",
        links=BulkResultLink(),
    ),
)

TYPES: Mapping[str, MessageType] = {each.name: each for each in _ALL}
