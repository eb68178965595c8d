"""Validate a chunk of resources in a process of the pool, and take down what each says."""

from typing import Any

import msgspec

from streams.bundles.resource.content_hash import NO_REFERENCES, Words, raw_hash, words
from streams.bundles.validation import issues
from streams.bundles.validation.issues import operation_outcome
from streams.bundles.validation.validator import ACCEPTED, Result, Validator

CRASHED = "crashed"
CRASHED_MAX = 50  # resources of one bundle, each of which holds up others for seconds
REFUSED = frozenset({"rejected", CRASHED})  # statuses, and the changes they become
NOTHING = Words(b"", b"", b"", NO_REFERENCES)
_ACCEPTED_HEADER = ACCEPTED.header


class Chunk(msgspec.Struct, array_like=True):
    """What a process is given: resources as received, and whether the library alone shall validate them."""

    resources: list[bytes]
    library_only: bool = False


class Validated(msgspec.Struct, array_like=True, gc=False):
    """One resource as it was validated: its status, the value of `x-validation`, and its words, if they can be read.

    `outcome` is an OperationOutcome unless it was simply accepted.
    """

    status: str
    validation: str
    text: bytes = b""
    facets: bytes = b""
    names: bytes = b""
    references: bytes = NO_REFERENCES
    outcome: bytes = b""


class ChunkResult(msgspec.Struct, array_like=True):
    """A chunk's resources as they were validated, and how the fast path fared since the last chunk."""

    resources: list[Validated]
    audited: int = 0
    mismatches: int = 0


def validate(validator: Validator, chunk: Chunk) -> ChunkResult:
    """Return the results for `chunk`, in its order. Never raises on what is in it."""
    if chunk.library_only:
        validator.use_library_only()
    audited, mismatches = validator.audited, validator.mismatches
    resources = [_validated(validator, raw) for raw in chunk.resources]
    return ChunkResult(resources, validator.audited - audited, validator.mismatches - mismatches)


def crashed() -> Validated:
    """Return the result for a resource that took a process down with it."""
    issue = issues.Issue("fatal", "too-costly", CRASHED, "Resource", "Checking this resource did not come to an end.")
    return Validated(CRASHED, f"structure {CRASHED}", outcome=operation_outcome([issue]))


def _validated(validator: Validator, raw: bytes) -> Validated:
    resource: Any = None
    try:
        result, resource = validator.validate(raw)
    except Exception as error:  # noqa: BLE001 - one resource must not cost the others of its chunk
        found = issues.of_failure("Resource", error, severity="fatal", issues_max=1)
        result = Result("rejected", "structure", found)
    said = _said(raw, resource, result)
    if result is ACCEPTED:
        return Validated(result.status, _ACCEPTED_HEADER, *said)
    outcome = operation_outcome(result.issues) if result.issues else b""
    return Validated(result.status, result.header, *said, outcome)


def _said(raw: bytes, resource: Any, result: Result) -> Words:  # noqa: ANN401 - any JSON
    """Return what a resource says, also a refused one: by that it is known again. Nothing if it is too much to read."""
    if result.issues and result.issues[0].code == "too-costly":
        return NOTHING
    try:
        return words(resource, raw)
    except Exception:  # noqa: BLE001 - what cannot be taken apart says its bytes
        return NOTHING._replace(text=raw_hash(raw))
