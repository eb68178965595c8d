"""What Metriport sends, one class per family of `meta.type`.

Tolerant on purpose: Metriport's documentation and its code disagree (size is a string here and a number there, filters
are a list or a comma-separated text, dates are "" when unset, whole fields are missing), and whatever is newer than
this file is kept. Only what a record cannot exist without is required.

What is known to come is said beside that, with `Sent`: `models.known` makes of it what a delivery is compared with.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Never

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, computed_field
from pydantic.alias_generators import to_camel

from models.sent import Concept, Offers, Organization, Sent, Transfer

_COUNT_MAX = 2**63 - 1
_COUNT_DIGITS_MAX = len(str(_COUNT_MAX))


class Wire(BaseModel):
    """A frozen view of part of a message: camelCase outside, unknown fields kept.

    `passed_on` are fields that are known to come and are passed on as those that are not.
    """

    passed_on: ClassVar[Mapping[str, Sent]] = {}

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="allow",
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )


def unset(value: object) -> object:
    """Return nothing for a text that says nothing."""
    return None if value == "" else value


def count(value: object) -> int | None:
    """Read a number (the code sends one) or a string (the documentation says one); anything else says nothing."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        digits = value.strip()
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _COUNT_DIGITS_MAX else None
    if isinstance(value, int | float) and 0 <= value <= _COUNT_MAX:  # not so of NaN; of no size does it raise
        return int(value)
    return None


def names(value: object) -> object:
    """Comma-separated in the code, a list in the documentation; empty means all."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return value if isinstance(value, list) else []


def ids_by_source(value: object) -> object:
    """Return ids by source, each a list; anything else says nothing."""
    if not isinstance(value, dict):
        return None
    return {source: ids if isinstance(ids, list) else [ids] for source, ids in value.items()}


_Ended = Literal["completed", "failed"]

Text = Annotated[str | None, BeforeValidator(unset), Sent(str)]
TextAlways = Annotated[str | None, BeforeValidator(unset), Sent(str, always=True)]
Ending = Annotated[str | None, BeforeValidator(unset), Sent(_Ended, always=True)]
Count = Annotated[int | None, BeforeValidator(count), Sent(int | str)]
Number = Annotated[int | None, BeforeValidator(count), Sent(int, always=True)]
Names = Annotated[list[str], BeforeValidator(names), Sent(str | list[str] | None)]
IdsBySource = Annotated[dict[str, list[Any]] | None, BeforeValidator(ids_by_source), Sent(dict[str, list[str]])]


class Meta(Wire):
    """Who sent this message, when, and what it is."""

    message_id: str = Field(min_length=1)
    type: str = Field(min_length=1)
    when: TextAlways = None
    request_id: Text = None
    data: Annotated[dict[str, Any] | None, Sent(dict[str, str | bool] | None)] = None


class Patient(Wire):
    """What every entry of `patients[]`, and every `payload`, says about its patient."""

    patient_id: str = Field(min_length=1)
    external_id: Text = None
    additional_ids: IdsBySource = None


class PatientEntry(Patient):
    """`medical.document-conversion`, and what the other entries of `patients[]` share."""

    status: Ending = None


class Document(Wire):
    """One document of a patient; `url` only where links are sent."""

    id: TextAlways = None
    file_name: TextAlways = None
    description: Text = None
    status: Text = None
    indexed: Text = None
    mime_type: Text = None
    size: Count = None
    type: Annotated[dict[str, Any] | None, Sent(Concept)] = None
    url: Annotated[Text, Sent(Never)] = None


class LinkedDocument(Document):
    """One document of `medical.document-bulk-download-urls`."""

    passed_on = {"organizationIdentifiers": Sent(list[Organization])}

    url: TextAlways = None


class PagedDocument(Document):
    """One document of `medical.document-bulk-download-paged`, which has the link under two names."""

    url: TextAlways = None
    download_url: TextAlways = None
    organization_identifiers: Annotated[list[Any] | None, Sent(list[Organization])] = None


class Pagination(Wire):
    """Which page of how many, from 1."""

    page: Number = None
    total_pages: Number = None
    total_items: Number = None


class DocumentsEntry(PatientEntry):
    """`medical.document-download`; None is "not told", [] is "none"."""

    documents: list[Document] | None = None


class LinkedDocumentsEntry(PatientEntry):
    """`medical.document-bulk-download-urls`."""

    documents: Annotated[list[LinkedDocument] | None, Sent(list[LinkedDocument], always=True)] = None


class PagedDocumentsEntry(PatientEntry):
    """`medical.document-bulk-download-paged`: one of several messages with the same `requestId`."""

    documents: Annotated[list[PagedDocument] | None, Sent(list[PagedDocument], always=True)] = None
    pagination: Annotated[Pagination | None, Sent(Pagination, always=True)] = None


class Filters(Wire):
    """What a consolidated query asked for; nothing set means everything."""

    passed_on = {"generateAiBrief": Sent(bool | str | None)}

    resources: Names = Field(default_factory=list)
    date_from: Annotated[Text, Sent(str | None)] = None
    date_to: Annotated[Text, Sent(str | None)] = None
    conversion_type: Annotated[Text, Sent(Literal["json", "pdf", "html"] | None)] = None


class ConsolidatedEntry(PatientEntry):
    """`medical.consolidated-data`; `bundle` holds links, not data, and is never validated as FHIR."""

    passed_on = {"truncatedGzipKey": Sent(str), "fastLoadGzipKey": Sent(str)}

    filters: Annotated[Filters | None, Sent(Filters | None)] = None
    bundle: Annotated[dict[str, Any] | None, Sent(Offers)] = None


class AdtPayload(Patient):
    """`patient.admit`, `patient.transfer`, `patient.discharge`; the encounter is behind `url`."""

    url: TextAlways = None
    when_source_sent: Text = None
    admit_timestamp: Text = None
    discharge_timestamp: Text = None
    transfers: Annotated[list[dict[str, Any]] | None, Sent(list[Transfer])] = None


class NetworkSource(Wire):
    """The kind of source that answered a network query, and with what."""

    type: Annotated[Text, Sent(Literal["hie", "pharmacy", "lab"], always=True)] = None
    source: Text = None
    status: Ending = None
    completed_at: TextAlways = None
    first_data_ready_at: Annotated[Text, Sent(Never)] = None


class NetworkQueryPayload(Patient):
    """`network-query.*`; `consolidatedDataUrl` is there even when the source failed."""

    consolidated_data_url: TextAlways = None
    source: Annotated[NetworkSource | None, Sent(NetworkSource, always=True)] = None

    @computed_field
    def status(self) -> str | None:
        """Say how the source's answer ended, where the other types say it."""
        return self.source.status if self.source else None


class EarlySource(NetworkSource):
    """The source that has sent its first data."""

    status: Annotated[Text, Sent(Literal["processing"], always=True)] = None
    completed_at: Annotated[Text, Sent(Never)] = None
    first_data_ready_at: TextAlways = None


class EarlyPayload(NetworkQueryPayload):
    """`network-query.hie.first-data-ready`."""

    source: Annotated[EarlySource | None, Sent(EarlySource, always=True)] = None


class PharmacyPayload(Patient):
    """`patient.pharmacy`; the dispensed medication is behind `url`."""

    url: TextAlways = None
    medication_dispensed_date: Text = None


class LaboratoryPayload(Patient):
    """`patient.laboratory`; the results are behind `url`."""

    url: TextAlways = None
    specimen_collected_date: Text = None


class MessageStatusPayload(Patient):
    """`message.status`: what became of a message that the customer sent to a provider."""

    id: TextAlways = None
    status: Ending = None
    sent_at: TextAlways = None
    completed_at: TextAlways = None
    reason: Text = None


class BulkPatientCreate(Wire):
    """`medical.bulk-patient-create`; `result` is a link to a CSV."""

    request_id: str = Field(min_length=1)
    status: Annotated[Text, Sent(Literal["waiting", "processing", "completed", "failed", "expired"], always=True)] = (
        None
    )
    result: Annotated[Text, Sent(str | None)] = None
    reason: Text = None
