"""List what makes two resources of a type the same thing, when neither an id nor their whole content says so.

One table. `what` must have a code (or name) in common, `when` must be the same moment and said by both, `alike` must be
said alike by both or by neither; nothing else that both say may differ, except that one may say more. In doubt, two
resources are two facts.

An identifier says more: what it alone names may have other values, doses or telephone numbers by now. It must not have
another code, moment, site or lot: laboratories give one number to many results.

`source` says where a key is from. US Core: the must-support elements of the profiles of
https://hl7.org/fhir/us/core/STU6.1/profiles-and-extensions.html; FHIR: the elements of the type's page in
https://hl7.org/fhir/R4/resourcelist.html; Metriport: what its own deduplication compares.
"""

from typing import NamedTuple


class Key(NamedTuple):
    """What a type's sameness rests on, by top-level elements; a choice counts as one. Where that is from.

    `when` is the moment; for what has none, the place.
    """

    what: tuple[str, ...]
    when: tuple[str, ...]
    alike: tuple[str, ...]
    source: str
    undated: bool = False  # is what it is without a moment


_DRUG = ("dosage", "dosageInstruction")
KEYS = {
    "AllergyIntolerance": Key(
        ("code",), ("onset",), ("type", "reaction"), "US Core: code; Metriport: the substance", undated=True
    ),
    "CarePlan": Key(("category", "title"), ("period",), ("encounter", "activity"), "US Core: category, subject"),
    "Condition": Key(
        ("code",),
        ("onset", "recordedDate"),
        ("bodySite", "category", "encounter", "stage"),
        "US Core: category, code, onset; Metriport: code, date",
    ),
    "Coverage": Key(
        ("payor", "type"), ("period",), ("subscriberId", "policyHolder", "order"), "FHIR: payor, subscriberId, period"
    ),
    "DiagnosticReport": Key(
        ("code",),
        ("effective",),
        ("encounter", "performer", "result", "specimen"),
        "US Core: category, code, effective",
    ),
    "DocumentReference": Key(("type",), ("date",), ("content", "context"), "US Core: type, date, content"),
    "Encounter": Key(
        ("type", "class"),
        ("period",),
        ("participant", "serviceProvider", "location", "partOf"),
        "US Core: class, type, period; Metriport: start, practitioner",
    ),
    "FamilyMemberHistory": Key(
        ("relationship",),
        (),
        ("condition", "name", "sex"),
        "FHIR: relationship; Metriport: name, conditions",
        undated=True,
    ),
    "Goal": Key(("description",), ("start",), ("target",), "US Core: description, start"),
    "Immunization": Key(
        ("vaccineCode",),
        ("occurrence",),
        ("lotNumber", "protocolApplied", "site", "doseQuantity", "encounter", "performer"),
        "US Core: vaccineCode, occurrence; Metriport: code, date",
    ),
    # A telephone number is how to reach them, not who they are.
    "Location": Key(("name",), ("address",), ("type", "partOf"), "Metriport: name, address"),
    "MedicationAdministration": Key(
        ("medication",), ("effective",), (*_DRUG, "context"), "Metriport: drug, date, dosage"
    ),
    "MedicationDispense": Key(
        ("medication",), ("whenHandedOver", "whenPrepared"), (*_DRUG, "quantity"), "US Core: medication, whenHandedOver"
    ),
    "MedicationRequest": Key(
        ("medication",),
        ("authoredOn",),
        (*_DRUG, "intent", "encounter", "requester"),
        "US Core: medication, authoredOn",
    ),
    "MedicationStatement": Key(("medication",), ("effective",), _DRUG, "FHIR: medication, effective"),
    "Observation": Key(
        ("code",),
        ("effective",),
        ("value", "component", "bodySite", "method", "specimen", "encounter", "performer", "hasMember"),
        "US Core: category, code, effective, value; Metriport: code, date, value",
    ),
    "Organization": Key(("name",), ("address",), ("type", "partOf"), "Metriport: name, address"),
    "Practitioner": Key(("name",), ("address",), ("birthDate", "gender"), "Metriport: NPI, or name and address"),
    "Procedure": Key(
        ("code",),
        ("performed",),
        ("bodySite", "encounter", "performer"),
        "US Core: code, performed; Metriport: the same",
    ),
    "ServiceRequest": Key(
        ("code",),
        ("authoredOn", "occurrence"),
        ("bodySite", "encounter", "requester", "intent", "specimen"),
        "US Core: category, code, authoredOn",
    ),
    "Specimen": Key(("type",), ("collection", "receivedTime"), ("accessionIdentifier",), "US Core: type, collection"),
}
# What an identifier that names one thing may not contradict, for the types above beside `what` and `when`.
FIRM = ("bodySite", "site", "lotNumber", "protocolApplied", "subject", "patient", "beneficiary")
# Those of these types may have moved: here an identifier may not contradict only these.
NAMED = {
    "Practitioner": ("name", "birthDate", "gender"),
    "Organization": ("name",),
    "Location": ("name",),
    "RelatedPerson": ("name", "relationship", "birthDate", "patient"),
    "Medication": ("code", "ingredient", "batch"),
    "Device": ("type", "udiCarrier", "serialNumber"),
}

TYPES = KEYS.keys() | NAMED.keys()
