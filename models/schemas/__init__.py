"""The contract other teams read: a JSON Schema per topic with JSON values, and an AsyncAPI 3.1 document over them all.

Generated from `models.records`, `models.states`, `models.headers` and the catalogue; `make schemas` writes them here,
and a test fails while what is committed is not what would be written.
"""

import json
from collections.abc import Mapping
from typing import Any

from models import headers, messages, reasons, records, states, topics
from models.records import Record

MODELS: Mapping[str, type[Record]] = {
    **{kind.name: kind.record for kind in messages.TYPES.values()},
    topics.DOCUMENTS: records.Document,
    topics.BUNDLES: records.Bundle,
    topics.BULK_PATIENTS: records.BulkPatient,
    topics.FHIR_SNAPSHOTS: records.Snapshot,
    topics.FHIR_HELD: records.Held,
    topics.FHIR_ALIASES: records.Alias,
    topics.PATIENTS: states.PatientState,
    topics.REQUESTS: states.RequestState,
    topics.BULK_JOBS: states.BulkJobState,
    topics.DRIFT: states.Drift,
}


def schema(topic: str) -> dict[str, Any]:
    """Return the JSON Schema of the values of `topic`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:metriport-streams:{topic}",
        **MODELS[topic].model_json_schema(by_alias=True, mode="serialization"),
    }


def asyncapi(*, version: str = "1.0.0") -> dict[str, Any]:
    """Return the AsyncAPI document: every topic a team may read, with keys, headers and values."""
    public = [topic for topic in topics.catalogue() if not topic.internal]
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "metriport-streams",
            "version": version,
            "description": "Topics other teams read. Each has one writer; order is kept per key.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in public},
        "operations": {
            f"read {topic.name}": {"action": "send", "channel": {"$ref": f"#/channels/{_pointer(topic.name)}"}}
            for topic in public
        },
        "components": {
            "messageTraits": {family: _trait(family) for family in dict.fromkeys(topic.family for topic in public)},
        },
    }


def files() -> dict[str, str]:
    """Return what belongs in this folder: text by file name."""
    documents = {f"{topic}.json": schema(topic) for topic in MODELS} | {"asyncapi.json": asyncapi()}
    return {name: json.dumps(document, indent=2) + "\n" for name, document in documents.items()}


def _trait(family: headers.Family) -> dict[str, Any]:
    declared = headers.of(family)
    required = [name for name, found in declared.items() if family in found.always]
    return {
        "headers": {
            "type": "object",
            "properties": {name: _header(found) for name, found in declared.items()},
            "required": required,
            "additionalProperties": family in {"quarantined", "decided"},
        }
    }


def _header(declared: headers.Declared) -> dict[str, Any]:
    pattern = {"pattern": f"^({declared.form})$"} if declared.form else {}
    return {"type": "string", "description": declared.says, **pattern}


def _reasons(stage: str) -> dict[str, Any]:
    """Return the closed set of reasons of one stage, each with its sentence."""
    told = [{"const": reason, "description": reasons.SAYS[reason]} for reason in reasons.OF_STAGE[stage]]
    return {"type": "object", "properties": {headers.QUARANTINE_REASON: {"oneOf": told}}}


def _channel(topic: topics.Topic) -> dict[str, Any]:
    message: dict[str, Any] = {
        "summary": topic.value,
        "traits": [{"$ref": f"#/components/messageTraits/{topic.family}"}],
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}}},
    }
    if topic.family == "quarantined":
        message["headers"] = _reasons(topic.name.rpartition(".")[2])
    if topic.name in MODELS:
        message["payload"] = {"$ref": f"./{topic.name}.json"}
    return {
        "address": f"metriport.{topic.name}",
        "messages": {"record": message},
        "bindings": {
            "kafka": {
                "topicConfiguration": {
                    "cleanup.policy": [topic.cleanup_policy],
                    "retention.ms": topic.retention_ms,
                }
            }
        },
    }


def _pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
