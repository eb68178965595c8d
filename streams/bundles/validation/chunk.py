"""What a process of the pool does with a chunk of resources: a verdict on each, and what it says."""

from typing import Any

import msgspec

from streams.bundles.resource.content_hash import NO_REFERENCES, Words, raw_hash, words
from streams.bundles.validation import issues
from streams.bundles.validation.outcome import operation_outcome
from streams.bundles.validation.validator import ACCEPTED, Checker, Verdict

CRASHED = "crashed"
CRASHED_MAX = 50  # resources of one bundle, each of which holds up others for seconds
REFUSED = frozenset({"rejected", CRASHED})  # findings, and the changes they become
NOTHING = Words(b"", b"", b"", NO_REFERENCES)
_ACCEPTED_HEADER = ACCEPTED.header


class Chunk(msgspec.Struct, array_like=True):
    """What a process is given: resources as received, and whether the library alone shall judge them."""

    resources: list[bytes]
    library_only: bool = False


class Finding(msgspec.Struct, array_like=True, gc=False):
    """What was found about one resource: the verdict and its words, if they can be read.

    `outcome` is an OperationOutcome unless it was simply accepted.
    """

    finding: str
    validation: str
    text: bytes = b""
    facets: bytes = b""
    names: bytes = b""
    references: bytes = NO_REFERENCES
    outcome: bytes = b""


class Examined(msgspec.Struct, array_like=True):
    """A chunk's findings, and how the compiled check fared since the last chunk."""

    findings: list[Finding]
    audited: int = 0
    mismatches: int = 0


def examine(checker: Checker, chunk: Chunk) -> Examined:
    """Return the findings on `chunk`, in its order. Never raises on what is in it."""
    if chunk.library_only:
        checker.use_library_only()
    audited, mismatches = checker.audited, checker.mismatches
    findings = [_finding(checker, raw) for raw in chunk.resources]
    return Examined(findings, checker.audited - audited, checker.mismatches - mismatches)


def crashed() -> Finding:
    """Return the finding on a resource that took a process down with it."""
    issue = issues.Issue("fatal", "too-costly", CRASHED, "Resource", "Checking this resource did not come to an end.")
    return Finding(CRASHED, f"structure {CRASHED}", outcome=operation_outcome([issue]))


def _finding(checker: Checker, raw: bytes) -> Finding:
    resource: Any = None
    try:
        verdict, resource = checker.verdict(raw)
    except Exception as error:  # noqa: BLE001 - one resource must not cost the others of its chunk
        found = issues.of_failure("Resource", error, severity="fatal", issues_max=1)
        verdict = Verdict("rejected", "structure", found)
    said = _said(raw, resource, verdict)
    if verdict is ACCEPTED:
        return Finding(verdict.finding, _ACCEPTED_HEADER, *said)
    outcome = operation_outcome(verdict.issues) if verdict.issues else b""
    return Finding(verdict.finding, verdict.header, *said, outcome)


def _said(raw: bytes, resource: Any, verdict: Verdict) -> Words:  # noqa: ANN401 - any JSON
    """Return what a resource says, also a refused one: by that it is known again. Nothing if it is too much to read."""
    if verdict.issues and verdict.issues[0].code == "too-costly":
        return NOTHING
    try:
        return words(resource, raw)
    except Exception:  # noqa: BLE001 - what cannot be taken apart says its bytes
        return NOTHING._replace(text=raw_hash(raw))
