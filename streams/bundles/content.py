"""What a resource says, as a hash that stays the same when nothing clinical changed.

Left out: the resource's own id, the times and places of its conversion, and which documents it was merged from.
References go by identity, not by id, and lists are compared as bags, because Metriport merges documents in the order
they come in.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

DIGEST_BYTES = 16
DERIVED_FROM_URL = "http://hl7.org/fhir/StructureDefinition/artifact-relatedArtifact"
_DOCUMENT_ID_SUFFIX = "doc-id-extension.json"
_VOLATILE_META = ("lastUpdated", "versionId", "source")


def raw_hash(raw: bytes) -> bytes:
    """Return the hash of the bytes as received."""
    return blake2b(raw, digest_size=DIGEST_BYTES).digest()


def content_hash(resource: dict[str, Any], references: Mapping[str, str]) -> bytes:
    """Return the hash of what `resource` says; `references` maps `Type/id` to `Type/identity`. Uses `resource` up."""
    resource.pop("id", None)
    _drop_provenance(resource)
    _settle(resource, references)
    return blake2b(orjson.dumps(resource, option=orjson.OPT_SORT_KEYS), digest_size=DIGEST_BYTES).digest()


def _drop_provenance(resource: dict[str, Any]) -> None:
    extensions = resource.get("extension")
    if isinstance(extensions, list):
        kept = [extension for extension in extensions if not _is_provenance(extension)]
        _keep(resource, "extension", kept)
    meta = resource.get("meta")
    if isinstance(meta, dict):
        _keep(resource, "meta", {key: value for key, value in meta.items() if key not in _VOLATILE_META})


def _is_provenance(extension: Any) -> bool:  # noqa: ANN401 - any JSON
    url = extension.get("url") if isinstance(extension, dict) else None
    return isinstance(url, str) and (url == DERIVED_FROM_URL or url.endswith(_DOCUMENT_ID_SUFFIX))


def _keep(resource: dict[str, Any], key: str, value: Any) -> None:  # noqa: ANN401
    if value:
        resource[key] = value
    else:
        del resource[key]


def _settle(node: dict[str, Any], references: Mapping[str, str]) -> None:
    """Put identities in place of ids, and lists in an order of their own."""
    for key, value in node.items():
        kind = type(value)
        if kind is str:
            if key == "reference" and value in references:
                node[key] = references[value]
        elif kind is dict:
            _settle(value, references)
        elif kind is list:
            for item in value:
                if type(item) is dict:
                    _settle(item, references)
            if len(value) > 1:
                value.sort(key=_sorted_json)


def _sorted_json(value: Any) -> bytes:  # noqa: ANN401
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
