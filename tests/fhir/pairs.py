"""Pairs of resources under two ids, made by hand: those that are two facts, and those that are one.

Each family is a table of what the first says and what the second says instead; the rest of both is the base. What they
refer to is in both bundles, under its own id, or, where a family says so, under another one the second time.
A text of the form `@1.10@` stands for a number, written so.
"""

import itertools
import json
import re
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.unit.bundles.stage import PATIENT, Stage, bundle_of, derived_from, patient

YES, NO = True, False


class Pair(NamedTuple):
    """What a first bundle has, and what a second one has."""

    name: str
    first: list[Any]
    second: list[Any]


SUBJECT = {"reference": f"Patient/{PATIENT}"}


def coded(code, system="http://snomed.info/sct", **more):
    return {"coding": [{"system": system, "code": code}], **more}


def loinc(code, **more):
    return coded(code, "http://loinc.org", **more)


def number(value, unit="mg/dL"):
    return {"value": value, "unit": unit}


def identifier(value, system="urn:oid:1.2.3"):
    return [{"system": system, "value": value}]


def component(code, value):
    return {"code": loinc(code), "valueQuantity": number(value, "mm[Hg]")}


def pressure(systolic, diastolic):
    return [component("8480-6", systolic), component("8462-4", diastolic)]


HYPERTENSION, FAILURE = coded("59621000", text="Essential hypertension"), coded("84114007", text="Heart failure")
ASTHMA, CANCER = coded("195967001", text="Asthma"), coded("254837009", text="Breast cancer")
LEFT, RIGHT = coded("7771000", text="Left"), coded("24028007", text="Right")
CONTEXT = [
    {"resourceType": "Practitioner", "id": "dr-a", "name": [{"family": "Adams", "given": ["Amy"]}]},
    {"resourceType": "Practitioner", "id": "dr-b", "name": [{"family": "Brown", "given": ["Bob"]}]},
    {"resourceType": "Organization", "id": "org-a", "name": "North Clinic"},
    {"resourceType": "Organization", "id": "org-b", "name": "South Clinic"},
    {"resourceType": "Medication", "id": "med-a", "code": coded("313782", "http://rx", text="Acetaminophen 325 MG")},
    {"resourceType": "Medication", "id": "med-b", "code": coded("197361", "http://rx", text="Amlodipine 5 MG")},
    {
        "resourceType": "Encounter",
        "id": "visit-a",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": SUBJECT,
        "period": {"start": "2020-03-01T09:00:00Z", "end": "2020-03-01T09:30:00Z"},
    },
    {
        "resourceType": "Encounter",
        "id": "visit-b",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": SUBJECT,
        "period": {"start": "2020-03-01T15:00:00Z", "end": "2020-03-01T15:20:00Z"},
    },
]
BASES = {
    "Condition": {"subject": SUBJECT, "code": HYPERTENSION, "onsetDateTime": "2020-03-01"},
    "Observation": {
        "status": "final",
        "subject": SUBJECT,
        "code": loinc("4548-4", text="HbA1c"),
        "effectiveDateTime": "2020-03-01",
        "valueQuantity": number(6.5, "%"),
    },
    "Immunization": {
        "status": "completed",
        "patient": SUBJECT,
        "vaccineCode": coded("140", "http://hl7.org/fhir/sid/cvx"),
        "occurrenceDateTime": "2020-03-01",
    },
    "Procedure": {
        "status": "completed",
        "subject": SUBJECT,
        "code": coded("609588000", text="Knee replacement"),
        "performedDateTime": "2020-03-01",
    },
    "Encounter": {
        "status": "finished",
        "subject": SUBJECT,
        "class": {"code": "AMB"},
        "type": [coded("185349003")],
        "period": {"start": "2020-03-02T09:00:00Z", "end": "2020-03-02T09:30:00Z"},
    },
    "MedicationRequest": {
        "status": "active",
        "intent": "order",
        "subject": SUBJECT,
        "authoredOn": "2020-03-01",
        "medicationCodeableConcept": coded("313782", "http://rx", text="Acetaminophen 325 MG"),
    },
    "MedicationStatement": {
        "status": "active",
        "subject": SUBJECT,
        "effectiveDateTime": "2020-03-01",
        "medicationCodeableConcept": coded("313782", "http://rx"),
    },
    "MedicationAdministration": {
        "status": "completed",
        "subject": SUBJECT,
        "effectiveDateTime": "2020-03-01",
        "medicationCodeableConcept": coded("313782", "http://rx"),
        "dosage": {"dose": number(325, "mg")},
    },
    "MedicationDispense": {
        "status": "completed",
        "subject": SUBJECT,
        "whenHandedOver": "2020-03-01",
        "medicationCodeableConcept": coded("313782", "http://rx"),
        "quantity": {"value": 30},
    },
    "AllergyIntolerance": {"patient": SUBJECT, "code": coded("91936005", text="Penicillin"), "recordedDate": "2020"},
    "DiagnosticReport": {
        "status": "final",
        "subject": SUBJECT,
        "code": loinc("58410-2"),
        "effectiveDateTime": "2020-03-01",
    },
    "ServiceRequest": {
        "status": "active",
        "intent": "order",
        "subject": SUBJECT,
        "code": coded("73761001"),
        "authoredOn": "2020-03-01",
    },
    "FamilyMemberHistory": {
        "status": "completed",
        "patient": SUBJECT,
        "relationship": coded("MTH", "http://v3"),
        "condition": [{"code": coded("254837009")}],
    },
    "Goal": {
        "lifecycleStatus": "active",
        "subject": SUBJECT,
        "description": {"text": "Lose weight"},
        "startDate": "2020-03-01",
    },
    "CarePlan": {
        "status": "active",
        "intent": "order",
        "subject": SUBJECT,
        "category": [coded("53950000")],
        "period": {"start": "2020-03-01"},
    },
    "Coverage": {
        "status": "active",
        "beneficiary": SUBJECT,
        "subscriberId": "A1",
        "payor": [{"display": "Blue"}],
    },
    "Practitioner": {
        "name": [{"family": "Towne", "given": ["Ignacio", "Maria"]}],
        "telecom": [{"value": "555-0100"}],
        "identifier": identifier("1306857912", "http://hl7.org/fhir/sid/us-npi"),
    },
    "Organization": {"name": "LOWELL GENERAL", "telecom": [{"system": "phone", "value": "555-0100"}]},
    "Location": {"name": "Ward 4", "address": {"line": ["295 Varnum Avenue", "Floor 2"], "city": "Lowell"}},
    "Specimen": {"subject": SUBJECT, "type": coded("119297000"), "collection": {"collectedDateTime": "2020-03-01"}},
    "DocumentReference": {
        "status": "current",
        "subject": SUBJECT,
        "type": loinc("34133-9"),
        "date": "2020-03-01T10:00:00Z",
        "content": [{"attachment": {"title": "a.xml"}}],
    },
}
NO_SUBJECT = {"Practitioner", "Organization", "Location"}


def resource(kind, own, **says):
    found = {"resourceType": kind, "id": own, **BASES[kind], **says}
    return {key: value for key, value in found.items() if value is not None}


def pairs(family, kind, rows, context=()):
    """Yield a pair for each row: what the first says beside the base, and what the second says."""
    for row, (first, second) in enumerate(rows):
        name = f"{family}, {kind} {row + 1}"
        yield Pair(name, [*context, resource(kind, "one", **first)], [*context, resource(kind, "two", **second)])


def each(element, *values):
    """Return rows that differ in one element: every two of the values."""
    return [({element: one}, {element: other}) for one, other in itertools.combinations(values, 2)]


def both(rows, **more):
    """Return rows in which both say more."""
    return [({**first, **more}, {**second, **more}) for first, second in rows]


# Identifiers that name nothing, or not this one thing.
WORTHLESS = {
    "no identifier": None,
    "an unknown identifier": [{"system": "urn:oid:1.2.3", "value": "UNK"}],
    "a system only": [{"system": "urn:oid:2.16.840.1.113883.3.1"}],
    "a value only": [{"value": "7"}],
    "an empty list": [],
    "an empty identifier": [{}],
    "a null flavor": [{"system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "value": "NI"}],
    "a shared accession number": identifier("ACC-77", "urn:oid:1.2.3.9"),
    "a typed accession number": [{"type": coded("ACSN", "http://v2-0203"), "system": "urn:lab", "value": "A-9"}],
    "the record number": [{"type": coded("MR", "http://v2-0203"), "system": "urn:mrn", "value": "P-9"}],
}
DIAGNOSES = each("code", HYPERTENSION, FAILURE, ASTHMA)
RESULTS = each("code", loinc("4548-4", text="HbA1c"), loinc("2089-1", text="LDL"))
MORNING, NOON, NIGHT = "2020-03-01T08:00:00Z", "2020-03-01T12:00:00Z", "2020-03-01T22:00:00Z"


def of_worthless():
    for name, found in WORTHLESS.items():
        yield from pairs(f"two diagnoses with {name}", "Condition", both(DIAGNOSES, identifier=found))
        yield from pairs(f"two results with {name}", "Observation", both(RESULTS, identifier=found))
        visits = each("period", {"start": MORNING, "end": NOON}, {"start": NOON, "end": NIGHT})
        yield from pairs(f"two visits with {name}", "Encounter", both(visits, identifier=found))
    # Nothing but the identifier says anything.
    for name in ("an unknown identifier", "a system only", "an empty list", "a null flavor"):
        rows = both(each("code", ASTHMA, CANCER), identifier=WORTHLESS[name], onsetDateTime=None)
        yield from pairs(f"undated diagnoses with {name}", "Condition", rows)


def of_days():
    days = ("2020-03-01", "2020-03-02")
    yield from pairs("another day", "Condition", each("onsetDateTime", *days))
    yield from pairs("another day", "Observation", each("effectiveDateTime", *days, MORNING, NIGHT))
    yield from pairs("another day", "Immunization", each("occurrenceDateTime", *days))
    yield from pairs("another day", "Procedure", each("performedDateTime", *days))
    yield from pairs("another day", "MedicationRequest", each("authoredOn", *days))
    yield from pairs("another day", "MedicationStatement", each("effectiveDateTime", *days))
    yield from pairs("another day", "MedicationAdministration", each("effectiveDateTime", *days, MORNING))
    yield from pairs("another day", "MedicationDispense", each("whenHandedOver", *days))
    yield from pairs("another day", "DiagnosticReport", each("effectiveDateTime", *days))
    yield from pairs("another day", "ServiceRequest", each("authoredOn", *days))
    yield from pairs("another day", "CarePlan", each("period", *({"start": day} for day in days)))
    yield from pairs("another day", "Goal", each("startDate", *days))
    yield from pairs("another day", "DocumentReference", each("date", MORNING, NIGHT))
    shared = identifier("same", "urn:oid:9")
    yield from pairs(
        "another day, one identifier", "Observation", both(each("effectiveDateTime", *days), identifier=shared)
    )
    yield from pairs(
        "another day, one identifier", "Procedure", both(each("performedDateTime", *days), identifier=shared)
    )
    yield from pairs(
        "another day, one identifier", "Immunization", both(each("occurrenceDateTime", *days), identifier=shared)
    )


def of_values():
    panel = {"valueQuantity": None, "code": loinc("85354-9", text="Blood pressure")}
    rows = each("component", pressure(120, 80), pressure(142, 91), pressure(120, 81))
    yield from pairs("two blood pressures on one day", "Observation", both(rows, **panel))
    rows = each("component", pressure(120, 80), pressure(142, 91))
    yield from pairs(
        "two blood pressures in one visit",
        "Observation",
        both(rows, **panel, encounter={"reference": "Encounter/visit-a"}),
        CONTEXT,
    )
    yield from pairs(
        "another value",
        "Observation",
        each("valueQuantity", number(6.5, "%"), number(7.1, "%"), number(6.5, "mmol/mol")),
    )
    yield from pairs(
        "another value, one accession",
        "Observation",
        both(
            each("valueQuantity", number(6.5), number(7.1)),
            identifier=[{"type": coded("ACSN", "http://v2-0203"), "system": "urn:lab", "value": "A-9"}],
        ),
    )
    bare = {"valueQuantity": None}
    yield from pairs("another whole number", "Observation", both(each("valueInteger", 1, 2, 3), **bare))
    yield from pairs("yes and no", "Observation", both(each("valueBoolean", YES, NO), **bare))
    yield from pairs("another text", "Observation", both(each("valueString", "positive", "negative"), **bare))
    yield from pairs("another code as value", "Observation", both(each("valueCodeableConcept", LEFT, RIGHT), **bare))
    yield from pairs(
        "another range", "Observation", both(each("valueRange", {"low": {"value": 1}}, {"low": {"value": 2}}), **bare)
    )
    yield from pairs(
        "another ratio",
        "Observation",
        both(each("valueRatio", {"numerator": {"value": 1}}, {"numerator": {"value": 2}}), **bare),
    )
    yield from pairs("another time as value", "Observation", both(each("valueTime", "08:00:00", "09:00:00"), **bare))
    yield from pairs(
        "another date as value", "Observation", both(each("valueDateTime", "2020-01-01", "2020-01-02"), **bare)
    )
    kinds = [({"valueInteger": 1}, {"valueBoolean": True}), ({"valueString": "1"}, {"valueInteger": 1})]
    yield from pairs("a value of another kind", "Observation", both(kinds, **bare))
    precise = each("valueQuantity", number("@1.10@"), number("@1.1@"), number("@1.100@"))
    yield from pairs("another precision", "Observation", precise)
    yield from pairs(
        "a long number",
        "Observation",
        each("valueQuantity", number("@12345678901234567890.1@"), number("@12345678901234567890.2@")),
    )
    yield from pairs(
        "a long fraction",
        "Observation",
        each("valueQuantity", number("@0.12345678901234567891@"), number("@0.12345678901234567892@")),
    )
    yield from pairs("another method", "Observation", each("method", coded("1"), coded("2")))
    yield from pairs("another interpretation", "Observation", each("interpretation", [coded("H")], [coded("L")]))


def of_sites():
    yield from pairs("left and right", "Procedure", each("bodySite", [LEFT], [RIGHT], [LEFT, RIGHT]))
    yield from pairs("left and right", "Condition", each("bodySite", [LEFT], [RIGHT]))
    yield from pairs("left and right", "Observation", each("bodySite", LEFT, RIGHT))
    yield from pairs("left and right", "ServiceRequest", each("bodySite", [LEFT], [RIGHT]))
    yield from pairs("left and right", "Immunization", each("site", LEFT, RIGHT))
    knees = each("code", coded("609588000", text="Left knee"), coded("609588000", text="Right knee"))
    yield from pairs("left and right in the text", "Procedure", knees)
    sided = [({}, {"bodySite": [LEFT]}), ({"bodySite": [LEFT]}, {})]
    yield from pairs("a side and none", "Procedure", sided)
    yield from pairs("another lot", "Immunization", each("lotNumber", "A1", "A2", "B7"))
    yield from pairs(
        "another lot, one identifier",
        "Immunization",
        both(each("lotNumber", "A1", "A2"), identifier=identifier("order-1")),
    )
    yield from pairs(
        "another dose of a series",
        "Immunization",
        each("protocolApplied", *([{"doseNumberPositiveInt": dose}] for dose in (1, 2, 3))),
    )
    yield from pairs(
        "another dose",
        "MedicationAdministration",
        each("dosage", {"dose": number(325, "mg")}, {"dose": number(650, "mg")}),
    )
    yield from pairs("another quantity", "MedicationDispense", each("quantity", {"value": 30}, {"value": 60}))
    dosages = [
        [{"text": "one in the morning"}],
        [{"text": "two at night"}],
        [{"text": "two at night"}, {"text": "one in the morning"}],
    ]
    yield from pairs("another dosage", "MedicationRequest", each("dosageInstruction", *dosages[:2]))
    yield from pairs(
        "another dosage order", "MedicationRequest", each("dosageInstruction", dosages[2], dosages[2][::-1])
    )
    yield from pairs("another intent", "MedicationRequest", each("intent", "order", "plan"))
    yield from pairs(
        "another drug",
        "MedicationRequest",
        each("medicationCodeableConcept", coded("1", "http://rx"), coded("2", "http://rx")),
    )
    yield from pairs(
        "another drug",
        "MedicationStatement",
        each("medicationCodeableConcept", coded("1", "http://rx"), coded("2", "http://rx")),
    )
    yield from pairs(
        "another substance", "AllergyIntolerance", each("code", coded("91936005"), coded("91935009"), {"text": "Latex"})
    )
    yield from pairs(
        "another category", "Condition", each("category", [coded("problem-list-item")], [coded("encounter-diagnosis")])
    )
    yield from pairs(
        "another relative",
        "FamilyMemberHistory",
        each("relationship", coded("MTH", "http://v3"), coded("FTH", "http://v3")),
    )
    yield from pairs(
        "another illness of a relative",
        "FamilyMemberHistory",
        each("condition", [{"code": ASTHMA}], [{"code": CANCER}]),
    )
    yield from pairs("another goal", "Goal", each("description", {"text": "Lose weight"}, {"text": "Stop smoking"}))
    yield from pairs("another payer", "Coverage", each("payor", [{"display": "Blue"}], [{"display": "Red"}]))
    yield from pairs("another plan", "Coverage", each("subscriberId", "A1", "A2"))
    yield from pairs("another plan", "CarePlan", each("category", [coded("53950000")], [coded("182964004")]))
    yield from pairs("another specimen", "Specimen", each("type", coded("119297000"), coded("122575003")))
    yield from pairs(
        "another file",
        "DocumentReference",
        each("content", [{"attachment": {"title": "a.xml"}}], [{"attachment": {"title": "b.xml"}}]),
    )


def of_people():
    names = ([{"family": "Towne", "given": ["Ignacio", "Maria"]}], [{"family": "Towne", "given": ["Maria", "Ignacio"]}])
    plain = {"identifier": None}
    yield from pairs("given names in another order", "Practitioner", both(each("name", *names), **plain))
    yield from pairs("another name", "Practitioner", both(each("name", [{"family": "A"}], [{"family": "B"}]), **plain))
    yield from pairs("another name, one identifier", "Practitioner", each("name", [{"family": "A"}], [{"family": "B"}]))
    yield from pairs("another identifier", "Practitioner", each("identifier", identifier("1"), identifier("2")))
    yield from pairs(
        "one name, another phone", "Practitioner", both(each("telecom", [{"value": "1"}], [{"value": "2"}]), **plain)
    )
    yield from pairs(
        "one name and address, another identifier",
        "Practitioner",
        both(each("identifier", identifier("1"), identifier("2")), address=[{"city": "Lowell"}]),
    )
    yield from pairs("another name", "Organization", each("name", "North Clinic", "South Clinic"))
    yield from pairs(
        "one name, another address", "Organization", each("address", [{"city": "Lowell"}], [{"city": "Boston"}])
    )
    yield from pairs("another ward", "Location", each("name", "Ward 4", "Ward 5"))
    lines = ({"line": ["295 Varnum Avenue", "Floor 2"]}, {"line": ["Floor 2", "295 Varnum Avenue"]})
    yield from pairs("address lines in another order", "Location", each("address", *lines))
    visits = each("period", {"start": "2020-03-02T09:00:00Z"}, {"start": "2020-03-02T15:00:00Z"})
    yield from pairs("two visits on one day", "Encounter", visits)
    day = {"period": {"start": "2020-03-02"}}
    yield from pairs(
        "two visits on one day, of two types", "Encounter", both(each("type", [coded("1")], [coded("2")]), **day)
    )
    yield from pairs(
        "two visits on one day, of two classes",
        "Encounter",
        both(each("class", {"code": "AMB"}, {"code": "EMER"}), **day),
    )
    seen = [[{"individual": {"reference": f"Practitioner/dr-{one}"}}] for one in "ab"]
    yield from pairs(
        "two visits on one day, to two doctors", "Encounter", both(each("participant", *seen), **day), CONTEXT
    )
    clinics = [{"reference": f"Organization/org-{one}"} for one in "ab"]
    yield from pairs(
        "two visits on one day, in two clinics", "Encounter", both(each("serviceProvider", *clinics), **day), CONTEXT
    )


def of_targets():
    """Resources that differ only in whom or what they refer to."""
    visits = [{"reference": f"Encounter/visit-{one}"} for one in "ab"]
    doctors = [{"reference": f"Practitioner/dr-{one}"} for one in "ab"]
    drugs = [{"reference": f"Medication/med-{one}"} for one in "ab"]
    for kind in ("Observation", "Condition", "Procedure", "Immunization", "MedicationRequest", "DiagnosticReport"):
        yield from pairs("in another visit", kind, each("encounter", *visits), CONTEXT)
        gone = [{"reference": f"Encounter/gone-{one}"} for one in "ab"]
        yield from pairs("in another visit that is not there", kind, each("encounter", *gone), CONTEXT)
    yield from pairs("by another doctor", "Observation", each("performer", *([one] for one in doctors)), CONTEXT)
    yield from pairs(
        "by another doctor", "Procedure", each("performer", *([{"actor": one}] for one in doctors)), CONTEXT
    )
    yield from pairs(
        "by another doctor", "Immunization", each("performer", *([{"actor": one}] for one in doctors)), CONTEXT
    )
    yield from pairs("by another doctor", "MedicationRequest", each("requester", *doctors), CONTEXT)
    yield from pairs("by another doctor", "ServiceRequest", each("requester", *doctors), CONTEXT)
    for kind in ("MedicationRequest", "MedicationStatement", "MedicationAdministration", "MedicationDispense"):
        rows = both(each("medicationReference", *drugs), medicationCodeableConcept=None)
        yield from pairs("another drug by reference", kind, rows, CONTEXT)


DIFFERENT = [*of_worthless(), *of_days(), *of_values(), *of_sites(), *of_people(), *of_targets()]


def turned(kind):
    """Return the base with its members, and those of all it holds, in another order."""
    return json.loads(json.dumps(BASES[kind]), object_pairs_hook=lambda found: dict(reversed(found)))


def of_new_ids():
    """Nothing but the id is new, or what a conversion writes anew."""
    for kind in BASES:
        yield from pairs("a new id", kind, [({}, {})])
        yield from pairs("members in another order", kind, [({}, turned(kind))])
        meta = [
            ({"meta": {"lastUpdated": f"2025-0{month}-01T00:00:00Z", "source": f"{month}.xml"}}) for month in (1, 2)
        ]
        yield from pairs("another conversion", kind, [tuple(meta)])
        documents = [[{"url": "https://x/doc-id-extension.json", "valueString": name}] for name in "ab"]
        yield from pairs("another document", kind, each("extension", *documents))
        yield Pair(f"no id, {kind}", [resource(kind, None)], [resource(kind, None, meta={"source": "b"})])


def of_lists():
    codings = [{"system": f"http://{one}", "code": one} for one in "abc"]
    lists = {
        "Condition": {
            "category": [coded("a"), coded("b")],
            "note": [{"text": "a"}, {"text": "b"}],
            "code": {"coding": codings},
        },
        "Observation": {
            "component": pressure(120, 80),
            "category": [coded("a"), coded("b")],
            "code": {"coding": codings},
        },
        "Procedure": {"bodySite": [LEFT, RIGHT], "reasonCode": [coded("a"), coded("b")], "code": {"coding": codings}},
        "Encounter": {"type": [coded("a"), coded("b")], "reasonCode": [coded("a"), coded("b")]},
        "AllergyIntolerance": {
            "category": ["food", "medication"],
            "reaction": [{"manifestation": [coded("a")]}, {"manifestation": [coded("b")]}],
        },
        "Immunization": {"reasonCode": [coded("a"), coded("b")], "vaccineCode": {"coding": codings}},
        "Practitioner": {"telecom": [{"value": "1"}, {"value": "2"}], "address": [{"city": "a"}, {"city": "b"}]},
        "DiagnosticReport": {"category": [coded("a"), coded("b")], "code": {"coding": codings}},
    }
    for kind, says in lists.items():
        for element, value in says.items():
            backwards = value[::-1] if isinstance(value, list) else {"coding": value["coding"][::-1]}
            yield from pairs(f"{element} in another order", kind, [({element: value}, {element: backwards})])
    ids = [*identifier("1"), *identifier("2", "urn:b")]
    for kind in ("Condition", "Observation", "Encounter", "Procedure"):
        yield from pairs("identifiers in another order", kind, [({"identifier": ids}, {"identifier": ids[::-1]})])


def of_more():
    """One side says more, and nothing that the other denies."""
    for kind in (
        "Condition",
        "Observation",
        "Procedure",
        "Immunization",
        "Encounter",
        "MedicationRequest",
        "DiagnosticReport",
    ):
        ids = [*identifier("1"), *identifier("2", "urn:b")]
        yield from pairs(
            "one more identifier", kind, [({"identifier": ids[:1]}, {"identifier": ids}), ({}, {"identifier": ids[:1]})]
        )
    notes = [
        ({}, {"note": [{"text": "Seen again."}]}),
        ({"note": [{"text": "a"}]}, {"note": [{"text": "a"}, {"text": "b"}]}),
    ]
    for kind in ("Condition", "Observation", "Procedure", "Immunization", "MedicationRequest"):
        yield from pairs("a note", kind, notes)
    more = {"coding": [*HYPERTENSION["coding"], {"system": "http://icd", "code": "I10"}], "text": HYPERTENSION["text"]}
    yield from pairs("one more code", "Condition", [({}, {"code": more}), ({"code": more}, {})])
    yield from pairs("preliminary, then final", "Observation", [({"status": "preliminary"}, {"status": "final"})])
    yield from pairs("preliminary, then final", "DiagnosticReport", [({"status": "preliminary"}, {"status": "final"})])
    yield from pairs("active, then stopped", "MedicationRequest", [({"status": "active"}, {"status": "stopped"})])
    clinical = [coded("active"), coded("resolved")]
    yield from pairs("active, then resolved", "Condition", each("clinicalStatus", *clinical))
    ended = {"start": "2020-03-02T09:00:00Z", "end": "2020-03-02T09:30:00Z"}
    yield from pairs(
        "a visit that ended",
        "Encounter",
        [({"status": "in-progress", "period": {"start": ended["start"]}}, {"period": ended})],
    )


def of_identifiers():
    """An identifier that names one thing, and a new id."""
    own = {"identifier": identifier("own-1", "urn:oid:1.2.3.4")}
    yield from pairs("a corrected value", "Observation", both(each("valueQuantity", number(6.5), number(7.5)), **own))
    yield from pairs("a corrected status", "Observation", both(each("status", "final", "corrected"), **own))
    yield from pairs(
        "a corrected dosage",
        "MedicationRequest",
        both(each("dosageInstruction", [{"text": "1"}], [{"text": "2"}]), **own),
    )
    yield from pairs("a corrected outcome", "Procedure", both(each("outcome", coded("1"), coded("2")), **own))
    yield from pairs("a corrected severity", "Condition", both(each("severity", coded("1"), coded("2")), **own))
    yield from pairs("a corrected report", "DiagnosticReport", both(each("conclusion", "a", "b"), **own))
    phones = each("telecom", [{"value": "555-0100"}], [{"value": "555-0199"}])
    yield from pairs("a new phone", "Practitioner", phones)
    yield from pairs("a first phone", "Practitioner", [({"telecom": None}, {}), ({}, {"telecom": None})])
    yield from pairs("a new phone and address", "Practitioner", both(phones, address=[{"city": "Lowell"}]))
    yield from pairs("a new address", "Practitioner", each("address", [{"city": "Lowell"}], [{"city": "Boston"}]))
    there = {"identifier": None, "address": [{"line": ["295 Varnum Avenue"], "city": "Lowell"}]}
    yield from pairs("a new phone at the same address", "Practitioner", both(phones, **there))
    yield from pairs("a new phone at the same address", "Organization", both(phones, **there))
    yield from pairs("a new phone at the same address", "Location", both(phones, identifier=None))
    yield from pairs("a new phone", "Organization", both(phones, **own))
    yield from pairs("a new address", "Location", both(each("address", {"city": "Lowell"}, {"city": "Boston"}), **own))


def of_context():
    """What it refers to has new ids, too."""
    moved = json.loads(re.sub(r"(dr|org|med|visit)-([ab])", r"\1-\2-moved", json.dumps(CONTEXT)))
    targets = {
        "Observation": {"encounter": "Encounter/visit-a", "performer": ["Practitioner/dr-a", "Organization/org-a"]},
        "Condition": {"encounter": "Encounter/visit-a", "recorder": "Practitioner/dr-a"},
        "Procedure": {"encounter": "Encounter/visit-b", "asserter": "Practitioner/dr-b"},
        "Immunization": {"encounter": "Encounter/visit-a", "manufacturer": "Organization/org-a"},
        "MedicationRequest": {"encounter": "Encounter/visit-a", "requester": "Practitioner/dr-a"},
        "DiagnosticReport": {"encounter": "Encounter/visit-b", "performer": ["Organization/org-b"]},
        "Encounter": {"serviceProvider": "Organization/org-a", "partOf": "Encounter/visit-a"},
        "ServiceRequest": {"encounter": "Encounter/visit-a", "requester": "Practitioner/dr-a"},
    }
    for kind, says in targets.items():
        for suffix, second in (("", CONTEXT), ("-moved", moved)):
            ends = [
                {
                    element: [{"reference": one + end} for one in found]
                    if isinstance(found, list)
                    else {"reference": found + end}
                    for element, found in says.items()
                }
                for end in ("", suffix)
            ]
            name = f"targets{' under new ids' if suffix else ''}, {kind}"
            yield Pair(name, [*CONTEXT, resource(kind, "one", **ends[0])], [*second, resource(kind, "two", **ends[1])])
    phone = [
        {**found, "telecom": [{"value": "1"}], "identifier": identifier("npi-1", "http://hl7.org/fhir/sid/us-npi")}
        for found in (CONTEXT[0], moved[0])
    ]
    phone[1]["telecom"] = [{"value": "2"}]
    for kind in ("Observation", "DiagnosticReport"):
        first, second = ({"performer": [{"reference": f"Practitioner/{found['id']}"}]} for found in phone)
        yield Pair(
            f"a doctor's new phone, {kind}",
            [phone[0], resource(kind, "one", **first)],
            [phone[1], resource(kind, "two", **second)],
        )
    ring = [
        [
            {**CONTEXT[6], "id": f"visit{end}", "diagnosis": [{"condition": {"reference": f"Condition/illness{end}"}}]},
            resource("Condition", f"illness{end}", encounter={"reference": f"Encounter/visit{end}"}),
        ]
        for end in ("", "-moved")
    ]
    yield Pair("a visit and its diagnosis, each referring to the other", *ring)


def of_links():
    """The same id, or one that was merged into it: whatever else it says."""
    for kind in ("Condition", "Observation", "Procedure", "Encounter", "MedicationRequest", "AllergyIntolerance"):
        for name, says in {"new codings": {"meta": {"source": "b"}}, "a note": {"note": [{"text": "x"}]}}.items():
            if name == "a note" and kind == "Encounter":
                continue
            merged = resource(kind, "two", **says, extension=derived_from(kind, "one"))
            yield Pair(f"merged with {name}, {kind}", [resource(kind, "one")], [merged])
    for kind, (first, second) in {"Condition": DIAGNOSES[0], "Observation": RESULTS[0]}.items():
        yield Pair(
            f"a corrected code under one id, {kind}",
            [resource(kind, "one", **first)],
            [resource(kind, "one", **second)],
        )


SAME = [*of_new_ids(), *of_lists(), *of_more(), *of_identifiers(), *of_context(), *of_links()]


def is_taken_for_the_same(pair, validator):
    """Whether the last resource of the second bundle, and all that are with it, are known from the first."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(validator, Path(folder))
        first = stage.deliver(written(pair.first))
        outputs = stage.deliver(written(pair.second))
    if any(one.snapshot["reason"] or one.counts.get("rejected") for one in (first, outputs)):
        raise ValueError(f"refused: {pair.name}")
    return not any(change == "created" for change, *_ in outputs.changes())


def written(resources):
    known = [{key: value for key, value in found.items() if key != "id" or value} for found in resources]
    return re.sub(rb'"@([^"@]+)@"', rb"\1", bundle_of([patient(), *known]))
