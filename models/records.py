"""What the service puts on its topics. Other teams read these; the JSON Schemas are generated from them.

Fields are Metriport's own names where the thing is Metriport's. Every field is always present; null is "not told".

Who reads takes more than is named here: another version may have written it. What this version writes has the fields
of its model and no others, which mypy and the tests demand; only in what is `PassedOn`, fields that Metriport adds
later stand next to the documented ones.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from models import decisions, reasons

Outcome = Literal["stored", "expired", "failed"]
BundleKind = Literal["consolidated", "encounter", "notification"]
SnapshotKind = Literal["consolidated", "encounter", "notification", "decision"]
RowStatus = Literal["successful", "failed", "waiting"]
# Published from a closed set; any word is read, as another version may know more.
FetchReason = Annotated[str, WithJsonSchema({"type": "string", "enum": list(reasons.OF_LINK)})]
RefusalReason = Annotated[str, WithJsonSchema({"type": "string", "enum": list(reasons.OF_STAGE["bundles"])})]


class Record(BaseModel):
    """A frozen record value: camelCase outside. Fields that it does not name are read, kept and written again."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="allow",
        hide_input_in_errors=True,
    )
    is_passed_on: ClassVar[bool] = False


class PassedOn(Record):
    """Metriport's own, with whatever fields it adds."""

    is_passed_on = True


class Common(Record):
    """What every record that came from a delivery carries."""

    message_id: str = Field(description="Metriport's id of the message; stable when it is sent again.")
    type: str = Field(description="Metriport's `meta.type`.")
    when: str | None = Field(None, description="When Metriport created the message, as it wrote it.")
    request_id: str | None = Field(None, description="The request this answers; about 2 % of messages have none.")
    received_at: str | None = Field(None, description="When the ingress received it; UTC, milliseconds.")
    metadata: dict[str, Any] | None = Field(None, description="`meta.data`; missing when Metriport sends again.")
    patient_id: str | None = Field(None, description="Metriport's patient id; null on bulk jobs.")
    external_id: str | None = Field(None, description="The customer's own patient id.")
    additional_ids: dict[str, list[Any]] | None = Field(None, description="Ids by source system.")


class Delivered(Common, PassedOn):
    """A delivery for one patient, or of one bulk job."""


class DocumentConversion(Delivered):
    """`medical.document-conversion`: conversion of the downloaded documents to FHIR ended."""

    status: str | None = None


class DocumentEntry(PassedOn):
    """One document that Metriport lists."""

    id: str | None = None
    file_name: str | None = None
    description: str | None = None
    status: str | None = None
    indexed: str | None = None
    mime_type: str | None = None
    size: int | None = Field(None, description="Bytes.")
    type: dict[str, Any] | None = Field(None, description="A FHIR CodeableConcept.")
    url: str | None = Field(None, description="A presigned link: a secret, dead within minutes.")


class DocumentDownload(DocumentConversion):
    """`medical.document-download`: the documents that are new in this query."""

    documents: list[DocumentEntry] | None = Field(None, description="null: not told. []: none.")


class DocumentBulkDownloadUrls(DocumentDownload):
    """`medical.document-bulk-download-urls`: links to all of a patient's documents."""


class PagedDocumentEntry(DocumentEntry):
    """One document of a page; Metriport gives its link two names."""

    download_url: str | None = Field(None, description="As `url`.")
    organization_identifiers: list[Any] | None = Field(None, description="Who holds it, as received.")


class Pagination(PassedOn):
    """Which page this is."""

    page: int | None = Field(None, description="From 1.")
    total_pages: int | None = None
    total_items: int | None = Field(None, description="Documents on all pages.")


class DocumentBulkDownloadPaged(DocumentConversion):
    """`medical.document-bulk-download-paged`: one page of the links; all pages have the same `requestId`."""

    documents: list[PagedDocumentEntry] | None = Field(None, description="null: not told. []: none.")
    pagination: Pagination | None = None


class NetworkSource(PassedOn):
    """The kind of source that answered."""

    type: str | None = Field(None, description="`hie`, `pharmacy` or `lab`.")
    source: str | None = Field(None, description="Which one of its kind, as `surescripts`.")
    status: str | None = None
    completed_at: str | None = None
    first_data_ready_at: str | None = None


class NetworkQuery(DocumentConversion):
    """`network-query.*`: a source answered a network query. `status` is the source's."""

    consolidated_data_url: str | None = Field(None, description="A presigned link to the patient's consolidated data.")
    source: NetworkSource | None = None


class Filters(PassedOn):
    """What a consolidated query asked for."""

    resources: list[str] = Field(default_factory=list, description="[] is all types.")
    date_from: str | None = None
    date_to: str | None = None
    conversion_type: str | None = None


class ConsolidatedData(DocumentConversion):
    """`medical.consolidated-data`: links to the patient's consolidated FHIR data."""

    filters: Filters | None = None
    bundle: dict[str, Any] | None = Field(None, description="Metriport's bundle of links, as received.")


class PatientAdt(Delivered):
    """`patient.admit`, `patient.transfer`, `patient.discharge`, `medical.discharge-summary`."""

    url: str | None = Field(None, description="A presigned link to the encounter's FHIR bundle.")
    when_source_sent: str | None = None
    admit_timestamp: str | None = None
    discharge_timestamp: str | None = None
    transfers: list[dict[str, Any]] | None = None


class PatientPharmacy(Delivered):
    """`patient.pharmacy`: a medication was dispensed."""

    url: str | None = Field(None, description="A presigned link to a FHIR bundle.")
    medication_dispensed_date: str | None = None


class PatientLaboratory(Delivered):
    """`patient.laboratory`: laboratory results came."""

    url: str | None = Field(None, description="A presigned link to a FHIR bundle.")
    specimen_collected_date: str | None = None


class MessageStatus(Delivered):
    """`message.status`: what became of a message to a provider."""

    id: str | None = Field(None, description="Metriport's id of the message that was sent.")
    status: str | None = None
    sent_at: str | None = None
    completed_at: str | None = None
    reason: str | None = None


class BulkPatientCreate(Delivered):
    """`medical.bulk-patient-create`: a bulk job moved on. Key: `requestId`."""

    status: str | None = None
    result: str | None = Field(None, description="A presigned link to the result CSV.")
    reason: str | None = None


class Fetched(Common):
    """What is known of something behind a link, once it was fetched or could not be."""

    bytes: int | None = None
    sha256: str | None = None
    blob: str | None = Field(None, description="Key relative to `BLOB_STORE_URL`.")
    etag: str | None = None
    last_modified: str | None = None
    deadline: str | None = Field(None, description="When the link dies or died.")
    fetched_at: str | None = None
    outcome: Outcome
    reason: FetchReason | None = Field(None, description="Why it is not stored, or why there is no link.")


class Document(Fetched):
    """`documents`: one document, fetched."""

    document_id: str | None = None
    file_name: str | None = None
    mime_type: str | None = None
    path: str | None = Field(None, description="JSONPath of the link, where `type` is `unrecognised`.")


class Bundle(Fetched):
    """`bundles`: one FHIR bundle, fetched; an empty result is `stored` with `bytes` 0 and no `blob`."""

    kind: BundleKind
    format: Literal["json", "pdf", "html"] = "json"
    filters: Filters | None = None
    complete: bool = Field(description="No filters: it holds all there is.")


class BulkPatient(Common):
    """`bulk-patients`: one row of a bulk create's result. Key: `requestId`."""

    row: Annotated[int, Field(ge=1)] = Field(description="Number of the row in the file, from 1.")
    status: RowStatus
    reason: str | None = None
    columns: dict[str, str] = Field(description="The customer's own cells, by header.")


class SnapshotCounts(Record):
    """What became of a bundle's resources."""

    accepted: int = 0
    rejected: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    missing: int = 0
    removed: int = 0
    superseded: int = 0
    held: int = Field(0, description="Would be removed if it were not so many: a person decides.")


class Snapshot(Common):
    """`fhir.snapshots`: one processed bundle, or one decision about what is held."""

    snapshot_id: str
    kind: SnapshotKind
    complete: bool
    filters: Filters | None = None
    counts: SnapshotCounts
    by_type: dict[str, int] = Field(default_factory=dict, description="Accepted resources by type.")
    state: dict[str, int] = Field(default_factory=dict, description="Resources in `fhir.state.*` afterwards, by type.")
    sequence: int = Field(0, description="`x-sequence` of the patient's newest change.")
    missing: list[str] = Field(
        default_factory=list, description="`Type/identity` of what the counts call missing; the first 1,000."
    )
    sha256: str | None = None
    stale: bool = Field(default=False, description="Older than what the state already holds; changed nothing.")
    reason: RefusalReason | None = Field(None, description="Why the bundle could not be read, if so.")


class Alias(Record):
    """`fhir.aliases`: an id under which a resource was seen, and its identity. Key: patient/Type/id."""

    patient_id: str
    type: str
    id: str
    identity: str = Field(description="Where `fhir.state.*` has it, if it still does.")


class Hold(Record):
    """What one snapshot would have removed."""

    snapshot_id: str
    count: int
    by_type: dict[str, int]
    resources: list[str] = Field(description="`Type/identity`; the first 1,000.")


class Held(Record):
    """`fhir.held`: a patient's resources that are missing, and whose removal waits for a person."""

    patient_id: str
    holds: list[Hold]


class RemovalDecision(Record):
    """`release.bundles`: what an operator decided about what one snapshot would have removed."""

    decision: Literal["removals"] = decisions.REMOVALS
    decision_id: str
    patient_id: str
    snapshot_id: str
    action: Literal["apply", "discard"] = Field(description="`apply`: remove it. `discard`: it is not missing.")
    resource_type: str | None = Field(None, description="null: all types.")
    decided_at: str
