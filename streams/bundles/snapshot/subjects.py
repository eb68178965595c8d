"""Whom a resource is about, and what becomes of one that is about somebody else. Pure.

Which element says so goes by type: FHIR R4 (https://hl7.org/fhir/R4/compartmentdefinition-patient.html), of it only the
elements that name the one whom the resource is about, not who wrote, asked or paid.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from streams.bundles.validation.issues import Issue
from streams.bundles.validation.outcome import operation_outcome

OTHER_PATIENT: Final = "other_patient"
VERSION = "1"  # part of the validator's id: a change has everything looked at again once

_SUBJECT = (
    "Account AdverseEvent Basic CarePlan CareTeam ChargeItem ClinicalImpression Communication CommunicationRequest "
    "Composition Condition Contract DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest "
    "DocumentReference Encounter Flag Goal GuidanceResponse ImagingStudy Invoice List MeasureReport Media "
    "MedicationAdministration MedicationDispense MedicationRequest MedicationStatement Observation Procedure "
    "QuestionnaireResponse RequestGroup RiskAssessment ServiceRequest Specimen"
)
_PATIENT = (
    "AllergyIntolerance BodyStructure Claim ClaimResponse Consent CoverageEligibilityRequest "
    "CoverageEligibilityResponse DetectedIssue Device EpisodeOfCare ExplanationOfBenefit FamilyMemberHistory "
    "Immunization ImmunizationEvaluation ImmunizationRecommendation MolecularSequence NutritionOrder RelatedPerson "
    "SupplyDelivery VisionPrescription"
)
ELEMENTS: dict[str, str] = {
    **dict.fromkeys(_SUBJECT.split(), "subject"),
    **dict.fromkeys(_PATIENT.split(), "patient"),
    "Coverage": "beneficiary",
    "EnrollmentRequest": "candidate",
    "ResearchSubject": "individual",
    "Task": "for",
}

_PERSON = "Patient"
_BARE = ("urn:uuid:", "urn:id:", "urn:oid:")


class About(NamedTuple):
    """The ids of the patients that a resource refers to as its subject, and references that do not say their type."""

    patients: frozenset[str] = frozenset()
    bare: frozenset[str] = frozenset()


NOBODY = About()


class _Reference(msgspec.Struct, gc=False):
    reference: str = ""


class _Members(msgspec.Struct, gc=False):
    subject: _Reference | None = None
    patient: _Reference | None = None
    beneficiary: _Reference | None = None
    candidate: _Reference | None = None
    individual: _Reference | None = None
    performed_for: _Reference | None = msgspec.field(default=None, name="for")


_FIELDS = {name: "performed_for" if name == "for" else name for name in set(ELEMENTS.values())}
_QUICK = msgspec.json.Decoder(_Members)
_ANY = msgspec.json.Decoder(dict[str, Any])


def about(resource_type: str, raw: bytes) -> About:
    """Return whom a resource is about; nobody if it does not say, or is not what it should be. Never raises."""
    name = ELEMENTS.get(resource_type)
    if name is None:
        return NOBODY
    try:
        found: _Reference | None = getattr(_QUICK.decode(raw), _FIELDS[name])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _of(_slowly(raw, name))
    return _of([found.reference]) if found is not None else NOBODY


def _slowly(raw: bytes, name: str) -> Iterator[str]:
    """Yield the references of an element that is a list, or beside which something is not what it should be."""
    try:
        value = _ANY.decode(raw).get(name)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict) and isinstance(reference := one.get("reference"), str):
            yield reference


def _of(references: Iterable[str]) -> About:
    patients, bare = set(), set()
    for reference in references:
        if reference.startswith(_BARE):
            bare.add(reference.rpartition(":")[2])
            continue
        # `Patient/1`, `https://…/Patient/1`, `Patient/1/_history/2`
        parts = reference.split("/")
        if _PERSON in parts[:-1]:
            # All that follows: an id with a slash is none of FHIR's, but it is whole here or it is somebody else's.
            named = "/".join(parts[parts.index(_PERSON) + 1 :])
            patients.add(named.partition("/_history/")[0])
    return About(frozenset(patients), frozenset(bare)) if patients or bare else NOBODY


class Judgement:
    """Who is who in one bundle: ours, other patients, and what is no patient at all."""

    def __init__(self, patient: str, patients: Collection[str], others: Collection[str]) -> None:
        self._patient = patient
        self._no_patients = frozenset(others) - frozenset(patients)

    def strangers(self, found: About) -> frozenset[str]:
        """Return the ids of the other patients that a resource is about; one that leads nowhere may be one."""
        if found is NOBODY:
            return frozenset()
        return (found.patients | (found.bare - self._no_patients)) - {self._patient}

    def is_ours(self, found: About) -> bool:
        """Whether a resource says that it is about our patient."""
        return self._patient in found.patients or self._patient in found.bare


def refusal(resource_type: str) -> bytes:
    """Return the OperationOutcome of a resource that is about somebody else."""
    name = ELEMENTS.get(resource_type)
    where = f"{resource_type}.{name}" if name else resource_type
    text = "This is about another patient than the one whose bundle it is in."
    return operation_outcome([Issue("error", "security", OTHER_PATIENT, where, text)])
