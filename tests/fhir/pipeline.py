"""An imitation of Metriport's pipeline: documents from a patient's record, converted, deduplicated, merged.

What is imitated (github.com/metriport/metriport, `packages/core/src/fhir-deduplication`): every conversion gives new
ids; resources with the same key are one, the first one's id survives, lists are joined, later single values win, and
what was folded in is listed as derived-from, except for types that documents share; references follow.
"""

import json
import re
import uuid
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from random import Random

from tests.unit.bundles.stage import PATIENT, derived_from

DOCUMENT_ID_URL = "https://public.metriport.com/fhir/StructureDefinition/doc-id-extension.json"
KEPT = frozenset(
    [
        *("AllergyIntolerance", "CarePlan", "Composition", "Condition", "Coverage", "DiagnosticReport"),
        *("DocumentReference", "Encounter", "FamilyMemberHistory", "Goal", "Immunization", "Location", "Medication"),
        *("MedicationAdministration", "MedicationDispense", "MedicationRequest", "MedicationStatement", "Observation"),
        *("Organization", "Practitioner", "Procedure", "RelatedPerson", "ServiceRequest", "Specimen"),
    ]
)
SHARED = frozenset({"Medication", "Practitioner", "Organization", "Location"})
SUMMARY = frozenset({"Condition", "AllergyIntolerance", "MedicationRequest", "Immunization", "CarePlan", "Goal"})
WHEN = (
    *("effectiveDateTime", "effectivePeriod", "onsetDateTime", "onsetPeriod", "performedDateTime", "performedPeriod"),
    *("occurrenceDateTime", "authoredOn", "period", "date", "created", "issued"),
)
LOST_ONE_IN = 12
_REFERENCE = re.compile(r'"reference": ?"(?:urn:uuid:)?([^"]+)"')


@dataclass(frozen=True)
class Document:
    """Which resources of the record it has, and how its vendor writes them."""

    name: str
    vendor: str
    members: tuple[str, ...]


VENDORS = {
    "plain": lambda _resource, _encounter: {},
    "own ids": lambda resource, _: {"identifier": [{"system": "urn:oid:1.2.3.4", "value": f"own-{resource['id']}"}]},
    "accession": lambda _, encounter: {"identifier": [{"system": "urn:oid:1.2.3.9", "value": f"acc-{encounter}"}]},
    "root only": lambda _resource, _encounter: {"identifier": [{"system": "urn:oid:2.16.840.1.113883.3.1"}]},
    "unknown": lambda _resource, _encounter: {"identifier": [{"system": "urn:ietf:rfc:3986", "value": "UNK"}]},
}
_NO_IDENTIFIERS = frozenset({"Patient", "Practitioner", "Organization", "Location", "Coverage"})


def record(resources):
    """Return a patient's record: types that Metriport keeps, references as `Type/id`."""
    types = {each["id"]: each["resourceType"] for each in resources if "id" in each}

    def reference(found):
        known = found[1].rpartition("/")[2]
        kind = types.get(known)
        return f'"reference": "{kind}/{known if kind != "Patient" else PATIENT}"' if kind else found[0]

    kept = [each for each in resources if each["resourceType"] in KEPT and "id" in each]
    return json.loads(_REFERENCE.sub(reference, json.dumps(kept)))


def documents(found, rnd, count=4):
    """Return documents that overlap: each has some visits and what happened there, and most of the summary."""
    encounters = sorted((each for each in found if each["resourceType"] == "Encounter"), key=moment)
    spans = []
    for _ in range(count):
        begin = rnd.randrange(max(1, len(encounters)))
        spans.append({each["id"] for each in encounters[begin : begin + max(2, len(encounters) // 2)]})
    made = []
    for number, span in enumerate(spans):
        members = [each["id"] for each in found if _is_in(each, span, rnd)]
        made.append(Document(f"document-{number}", list(VENDORS)[number % len(VENDORS)], tuple(members)))
    return made


def _is_in(resource, span, rnd):
    kind, encounter = resource["resourceType"], _encounter(resource)
    if kind == "Encounter":
        return resource["id"] in span
    if kind in SHARED:
        return True
    return encounter in span or (kind in SUMMARY and rnd.random() < 0.6) or (not encounter and rnd.random() < 0.6)


def convert(document, found, ids):
    """Return the document's resources under ids that `ids` draws, and which resource of the record each is."""
    members = set(document.members)
    own = {each["id"]: _uuid(ids) for each in found if each["id"] in members}
    truth, converted = {}, []
    for each in found:
        if each["id"] not in members:
            continue
        resource = _vendored(each, document.vendor)
        if _encounter(resource) not in members and zlib.crc32(each["id"].encode()) % LOST_ONE_IN:
            # A summary does not say at which visit; sometimes it does, and the visit is not in the document.
            resource.pop("encounter", None)
        resource = _referring(resource, own, ids)
        resource["id"] = own[each["id"]]
        converted.append(_provenance(resource, document, ids))
        truth[resource["id"]] = f"{each['resourceType']}/{each['id']}"
    composition = _composition(document, found, own, ids)
    truth[composition["id"]] = f"Composition/{document.name}"
    reference = {
        "resourceType": "DocumentReference",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, document.name)),
        "status": "current",
        "description": document.name,
        "subject": {"reference": f"Patient/{PATIENT}"},
        "content": [{"attachment": {"title": f"{document.name}.xml", "contentType": "application/xml"}}],
    }
    truth[reference["id"]] = f"DocumentReference/{document.name}"
    return [*converted, composition, reference], truth


def _vendored(resource, vendor):
    found = json.loads(json.dumps(resource))
    if resource["resourceType"] not in _NO_IDENTIFIERS:
        found = {**found, **VENDORS[vendor](resource, _encounter(resource))}
    # Some vendors write one more code, some no text beside the codes.
    for name in ("code", "vaccineCode", "medicationCodeableConcept"):
        concept = found.get(name)
        if isinstance(concept, dict) and concept.get("coding"):
            if vendor == "own ids":
                local = {"system": "urn:oid:1.2.3.5", "code": f"local-{concept['coding'][0].get('code')}"}
                concept["coding"].append(local)
            if vendor == "accession":
                concept.pop("text", None)
    if resource["resourceType"] == "Practitioner" and vendor in {"plain", "accession"}:
        found["telecom"] = [{"system": "phone", "value": "555-0100", "use": "work"}]
    return found


def _referring(node, own, ids):
    if isinstance(node, dict):
        return {key: _referring_to(key, value, own, ids) for key, value in node.items()}
    if isinstance(node, list):
        return [_referring(item, own, ids) for item in node]
    return node


def _referring_to(key, value, own, ids):
    if key != "reference" or not isinstance(value, str):
        return _referring(value, own, ids)
    kind, _, known = value.partition("/")
    if kind == "Patient" or value.startswith("#"):
        return value
    return f"{kind}/{own[known] if known in own else _uuid(ids)}"


def _provenance(resource, document, ids):
    extension = [*resource.get("extension", []), {"url": DOCUMENT_ID_URL, "valueString": document.name}]
    meta = {"lastUpdated": f"2025-01-01T00:00:{ids.randrange(60):02d}.000Z", "source": f"{document.name}.xml"}
    return {**resource, "extension": extension, "meta": meta}


def _composition(document, found, own, ids):
    entries = [
        {"reference": f"{each['resourceType']}/{own[each['id']]}"}
        for each in found
        if each["id"] in own and each["resourceType"] in SUMMARY | {"Encounter", "Observation"}
    ]
    # What Metriport drops (Device, observations without a value ...) leaves references that lead nowhere.
    entries += [{"reference": f"Observation/{_uuid(ids)}"} for _ in range(len(entries) // 2)]
    composition = {
        "resourceType": "Composition",
        "id": _uuid(ids),
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34133-9"}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "date": "2024-05-01",
        "author": [{"display": document.vendor}],
        "title": f"Summary {document.name}",
        "section": [{"title": "All", "entry": entries or [{"display": "none"}]}],
    }
    return _provenance(composition, document, ids)


def consolidate(conversions, *, lists_derived=True):
    """Merge converted documents in this order; return the bundle's resources and which ones of the record each is."""
    truth, found = {}, {}
    for converted, known in conversions:
        truth.update({key: {value} for key, value in known.items()})
        for each in converted:
            found.setdefault(each["id"], json.loads(json.dumps(each)))
    survivors, replaced, derived = {}, {}, defaultdict(list)
    for each in sorted(found.values(), key=lambda each: each["resourceType"] not in SHARED):
        each = _replaced(each, replaced)  # noqa: PLW2901
        key = _dedup_key(each) or each["id"]
        first = survivors.setdefault((each["resourceType"], key), each)
        if first is not each:
            _merge(first, each)
            replaced[f"{each['resourceType']}/{each['id']}"] = f"{each['resourceType']}/{first['id']}"
            truth[first["id"]] |= truth.pop(each["id"])
            if each["resourceType"] not in SHARED:
                derived[first["id"]].append(each["id"])
    merged = [_replaced(each, replaced) for each in survivors.values()]
    for each in merged:
        folded = derived[each["id"]]
        if lists_derived and folded:
            each["extension"] = [*each.get("extension", []), *derived_from(each["resourceType"], *folded)]
    return [{"resourceType": "Patient", "id": PATIENT, "birthDate": "1970-01-01"}, *merged], truth


def _replaced(resource, replaced):
    def follow(found):
        return f'"reference": "{replaced.get(found[1], found[1])}"'

    return json.loads(_REFERENCE.sub(follow, json.dumps(resource)))


def _dedup_key(resource):  # noqa: PLR0911 - a table would hide more than it shows
    kind, when = resource["resourceType"], moment(resource)
    codes = _codes(resource)
    match kind:
        case "Practitioner":
            npi = next((one for one in resource.get("identifier", []) if "us-npi" in one.get("system", "")), None)
            return json.dumps([npi or resource.get("name"), None if npi else resource.get("address")], sort_keys=True)
        case "Organization" | "Location":
            return json.dumps([resource.get("name"), resource.get("address")], sort_keys=True)
        case "Medication":
            return codes
        case "AllergyIntolerance":
            return codes
        case "Encounter":
            people = sorted(json.dumps(each.get("individual", {})) for each in resource.get("participant", []))
            return json.dumps([when, people]) if when else None
        case "Observation":
            value = {name: value for name, value in resource.items() if name.startswith(("value", "component"))}
            return json.dumps([codes, when, value], sort_keys=True) if codes and when else None
        case "CarePlan" | "Goal" | "Composition" | "DocumentReference":
            return None
        case _:
            return json.dumps([codes, when]) if codes and when else None


def _codes(resource):
    for name in ("code", "vaccineCode", "medicationCodeableConcept", "medicationReference"):
        concept = resource.get(name)
        if isinstance(concept, dict):
            return str((concept.get("coding") or [concept])[0].get("code") or json.dumps(concept))
    return None


def _merge(first, other):
    for key, value in other.items():
        if key in {"id", "resourceType", "subject"}:
            continue
        if isinstance(value, list) and isinstance(first.get(key), list):
            first[key] += [item for item in value if item not in first[key]]
        elif isinstance(value, dict) and isinstance(first.get(key), dict):
            _merge(first[key], value)
        else:
            first[key] = value


def signatures(resources):
    """Return by id what each resource says, its targets' words included: written without a look at the stage's code."""
    plain = {f"{each['resourceType']}/{each['id']}": _words(each, {}) for each in resources}
    return {each["id"]: _words(each, plain) for each in resources}


def _words(resource, targets):
    found = {key: value for key, value in resource.items() if key not in {"id", "meta"}}
    found["extension"] = [each for each in found.get("extension", []) if not _is_provenance(each)]
    if not found["extension"]:
        del found["extension"]
    return json.dumps(_settled(found, targets), sort_keys=True)


def _is_provenance(extension):
    return extension["url"] == DOCUMENT_ID_URL or "derived-from" in json.dumps(extension)


def _settled(node, targets):
    if isinstance(node, dict):
        return {
            key: _target(value, targets) if key == "reference" else _settled(value, targets)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return sorted((_settled(item, targets) for item in node), key=lambda item: json.dumps(item, sort_keys=True))
    return node


def _target(value, targets):
    return targets.get(value, value.partition("/")[0]) if isinstance(value, str) else value


def counted(truth):
    """Return how many resources of a bundle are each of those of the record."""
    return Counter(known for group in truth.values() for known in group)


def _encounter(resource):
    return resource.get("encounter", {}).get("reference", "").partition("/")[2] if resource else ""


def moment(resource):
    value = next((resource[name] for name in WHEN if resource.get(name)), None)
    return value.get("start") or value.get("end") or "" if isinstance(value, dict) else value or ""


def _uuid(rnd: Random):
    return str(uuid.UUID(int=rnd.getrandbits(128), version=4))
