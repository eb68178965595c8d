"""What Metriport sends, one class per family of `meta.type`.

Tolerant on purpose: Metriport's documentation and its code disagree (size is a string here and a number there, filters
are a list or a comma-separated text, dates are "" when unset, whole fields are missing), and whatever is newer than
this file is kept. Only what a record cannot exist without is required.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, computed_field
from pydantic.alias_generators import to_camel

_COUNT_MAX = 2**63 - 1
_COUNT_DIGITS_MAX = len(str(_COUNT_MAX))


class Wire(BaseModel):
    """A frozen view of part of a message: camelCase outside, unknown fields kept."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="allow",
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )


def _unset(value: object) -> object:
    return None if value == "" else value


def _count(value: object) -> int | None:
    """Read a number (the code sends one) or a string (the documentation says one); anything else says nothing."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        digits = value.strip()
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _COUNT_DIGITS_MAX else None
    if isinstance(value, int | float) and 0 <= value <= _COUNT_MAX:  # not so of NaN; of no size does it raise
        return int(value)
    return None


def _names(value: object) -> object:
    """Comma-separated in the code, a list in the documentation; empty means all."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return value if isinstance(value, list) else []


def _ids_by_source(value: object) -> object:
    if not isinstance(value, dict):
        return None
    return {source: ids if isinstance(ids, list) else [ids] for source, ids in value.items()}


Text = Annotated[str | None, BeforeValidator(_unset)]
Count = Annotated[int | None, BeforeValidator(_count)]
Names = Annotated[list[str], BeforeValidator(_names)]
IdsBySource = Annotated[dict[str, list[Any]] | None, BeforeValidator(_ids_by_source)]


class Meta(Wire):
    """Who sent this message, when, and what it is."""

    message_id: str = Field(min_length=1)
    type: str = Field(min_length=1)
    when: Text = None
    request_id: Text = None
    data: dict[str, Any] | None = None


class Patient(Wire):
    """What every entry of `patients[]`, and every `payload`, says about its patient."""

    patient_id: str = Field(min_length=1)
    external_id: Text = None
    additional_ids: IdsBySource = None


class PatientEntry(Patient):
    """`medical.document-conversion`, and what the other entries of `patients[]` share."""

    status: Text = None


class Document(Wire):
    """One document of a patient; `url` only where links are sent."""

    id: Text = None
    file_name: Text = None
    description: Text = None
    status: Text = None
    indexed: Text = None
    mime_type: Text = None
    size: Count = None
    type: dict[str, Any] | None = None
    url: Text = None


class PagedDocument(Document):
    """One document of `medical.document-bulk-download-paged`, which has the link under two names."""

    download_url: Text = None
    organization_identifiers: list[Any] | None = None


class Pagination(Wire):
    """Which page of how many, from 1."""

    page: Count = None
    total_pages: Count = None
    total_items: Count = None


class DocumentsEntry(PatientEntry):
    """`medical.document-download` and `medical.document-bulk-download-urls`; None is "not told", [] is "none"."""

    documents: list[Document] | None = None


class PagedDocumentsEntry(PatientEntry):
    """`medical.document-bulk-download-paged`: one of several messages with the same `requestId`."""

    documents: list[PagedDocument] | None = None
    pagination: Pagination | None = None


class Filters(Wire):
    """What a consolidated query asked for; nothing set means everything."""

    resources: Names = Field(default_factory=list)
    date_from: Text = None
    date_to: Text = None
    conversion_type: Text = None


class ConsolidatedEntry(PatientEntry):
    """`medical.consolidated-data`; `bundle` holds links, not data, and is never validated as FHIR."""

    filters: Filters | None = None
    bundle: dict[str, Any] | None = None


class AdtPayload(Patient):
    """`patient.admit`, `patient.transfer`, `patient.discharge`; the encounter is behind `url`."""

    url: Text = None
    when_source_sent: Text = None
    admit_timestamp: Text = None
    discharge_timestamp: Text = None
    transfers: list[dict[str, Any]] | None = None


class NetworkSource(Wire):
    """The kind of source that answered a network query, and with what."""

    type: Text = None
    source: Text = None
    status: Text = None
    completed_at: Text = None
    first_data_ready_at: Text = None


class NetworkQueryPayload(Patient):
    """`network-query.*`; `consolidatedDataUrl` is there even when the source failed."""

    consolidated_data_url: Text = None
    source: NetworkSource | None = None

    @computed_field
    def status(self) -> str | None:
        """Say how the source's answer ended, where the other types say it."""
        return self.source.status if self.source else None


class PharmacyPayload(Patient):
    """`patient.pharmacy`; the dispensed medication is behind `url`."""

    url: Text = None
    medication_dispensed_date: Text = None


class LaboratoryPayload(Patient):
    """`patient.laboratory`; the results are behind `url`."""

    url: Text = None
    specimen_collected_date: Text = None


class MessageStatusPayload(Patient):
    """`message.status`: what became of a message that the customer sent to a provider."""

    id: Text = None
    status: Text = None
    sent_at: Text = None
    completed_at: Text = None
    reason: Text = None


class BulkPatientCreate(Wire):
    """`medical.bulk-patient-create`; `result` is a link to a CSV."""

    request_id: str = Field(min_length=1)
    status: Text = None
    result: Text = None
    reason: Text = None
