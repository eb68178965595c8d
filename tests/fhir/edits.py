"""Real edits, as a hospital makes them: one thing in a resource that is then another."""

import json
from typing import Any, NamedTuple


class Edited(NamedTuple):
    """The bundle with its edits, and what was edited by id."""

    resources: list[Any]
    made: dict[str, str]


def edited(resources, truth, rnd, one_in):
    """Return the bundle with one in so many resources edited."""
    made, found = {}, []
    for resource in resources:
        fitting = [name for name, edit in EDITS.items() if edit(json.loads(json.dumps(resource))) is not None]
        if resource["id"] in truth and fitting and rnd.randrange(one_in) == 0:
            name = rnd.choice(fitting)
            made[resource["id"]] = name
            resource = EDITS[name](json.loads(json.dumps(resource)))  # noqa: PLW2901
        found.append(resource)
    return Edited(found, made)


def _status(resource):
    if resource.get("status", "entered-in-error") != "entered-in-error":
        return {**resource, "status": "entered-in-error"}
    return None


def _value(resource):
    value = resource.get("valueQuantity", {}).get("value")
    if value is None:
        return None
    resource["valueQuantity"]["value"] = value + 1
    return resource


def _component(resource):
    for component in resource.get("component", []):
        if "value" in component.get("valueQuantity", {}):
            component["valueQuantity"]["value"] += 1
            return resource
    return None


def _code(resource):
    for name in ("code", "vaccineCode", "medicationCodeableConcept"):
        for coding in (resource.get(name) or {}).get("coding", []) if isinstance(resource.get(name), dict) else []:
            if "code" in coding:
                coding["code"] += "9"
                return resource
    return None


def _date(resource):
    for name, value in resource.items():
        if name.endswith(("DateTime", "date", "authoredOn")) and isinstance(value, str):
            return {**resource, name: "1999-12-31"}
        if name in {"period", "performedPeriod"} and isinstance(value, dict) and "start" in value:
            return {**resource, name: {**value, "start": "1999-12-31T00:00:00Z"}}
    return None


def _note(resource):
    if resource["resourceType"] in {"Observation", "Condition", "Procedure", "MedicationRequest", "Immunization"}:
        return {**resource, "note": [*resource.get("note", []), {"text": "Seen again."}]}
    return None


def _dosage(resource):
    if resource["resourceType"] == "MedicationRequest":
        return {**resource, "dosageInstruction": [{"sequence": 1, "text": "twice a day"}]}
    return None


def _telecom(resource):
    if resource["resourceType"] in {"Practitioner", "Organization"}:
        return {**resource, "telecom": [{"system": "phone", "value": "555-0199"}]}
    return None


EDITS = {
    "status": _status,
    "value": _value,
    "component": _component,
    "code": _code,
    "date": _date,
    "note": _note,
    "dosage": _dosage,
    "telecom": _telecom,
}
