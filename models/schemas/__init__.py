"""The contract other teams read: a JSON Schema per topic with JSON values, and an AsyncAPI 3.1 document over them all.

Generated from `models.records`, `models.states` and the catalogue; `python -m models.schemas` writes them here, and a
test fails while what is committed is not what would be written.
"""

import json
from collections.abc import Mapping
from typing import Any

from models import headers, messages, records, states, topics
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
}

_HEADERS = {
    "ce_specversion": "CloudEvents version, 1.0.",
    headers.CE_ID: "Derived from the input alone: the same record written twice has the same id.",
    "ce_source": "The part of the service that wrote the record.",
    "ce_type": "Metriport's message type, or what the record is.",
    "ce_time": "When it happened, as Metriport told.",
    "content-type": "Of the value.",
    headers.MESSAGE_ID: "Metriport's message id.",
    headers.RECEIVED_AT: "When the ingress received the delivery.",
    headers.SOURCE: "topic/partition/offset/index of the input record.",
}
_RESOURCES = (topics.FHIR_CHANGES, topics.FHIR_REJECTED, "fhir.state.")


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
            "messageTraits": {"record": _trait(_HEADERS), "resource": _trait(headers.FHIR)},
        },
    }


def files() -> dict[str, str]:
    """Return what belongs in this folder: text by file name."""
    documents = {f"{topic}.json": schema(topic) for topic in MODELS} | {"asyncapi.json": asyncapi()}
    return {name: json.dumps(document, indent=2) + "\n" for name, document in documents.items()}


def _trait(sentences: Mapping[str, str]) -> dict[str, Any]:
    properties = {name: {"type": "string", "description": sentence} for name, sentence in sentences.items()}
    return {"headers": {"type": "object", "properties": properties}}


def _channel(topic: topics.Topic) -> dict[str, Any]:
    message: dict[str, Any] = {
        "summary": topic.value,
        "traits": [{"$ref": "#/components/messageTraits/record"}],
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}}},
    }
    if topic.name.startswith(_RESOURCES):
        message["traits"].append({"$ref": "#/components/messageTraits/resource"})
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
