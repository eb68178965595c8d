"""What a process of the pool does with a chunk of resources: a verdict and a content hash for each."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from streams.bundles import issues as wrong
from streams.bundles.content import content_hash
from streams.bundles.outcome import operation_outcome
from streams.bundles.verdict import Checker, Verdict

CRASHED = "crashed"
CRASHED_MAX = 50  # resources of one bundle, each of which holds up others for seconds


class Resources(NamedTuple):
    """Resources, as received, and what their references become."""

    raw: list[bytes]
    references: dict[str, str]


class Chunk(msgspec.Struct, array_like=True):
    """What a process is given: `Resources`, and whether the library alone shall judge them."""

    resources: list[bytes]
    references: dict[str, str]
    library_only: bool = False


class Finding(msgspec.Struct, array_like=True):
    """What was found about one resource. `outcome` is an OperationOutcome unless it was simply accepted."""

    finding: str
    validation: str
    content: bytes = b""
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
    findings = [_finding(checker, raw, chunk.references) for raw in chunk.resources]
    return Examined(findings, checker.audited - audited, checker.mismatches - mismatches)


def crashed() -> Finding:
    """Return the finding on a resource that took a process down with it."""
    issue = wrong.Issue("fatal", "too-costly", CRASHED, "Resource", "Checking this resource did not come to an end.")
    return Finding(CRASHED, f"structure {CRASHED}", outcome=operation_outcome([issue]))


def _finding(checker: Checker, raw: bytes, references: Mapping[str, str]) -> Finding:
    try:
        verdict, resource = checker.verdict(raw)
        content = content_hash(resource, references) if resource is not None else b""
    except Exception as error:  # noqa: BLE001 - one resource must not cost the others of its chunk
        found = wrong.of_failure("Resource", error, severity="fatal", issues_max=1)
        verdict, content = Verdict("rejected", "structure", found), b""
    outcome = operation_outcome(verdict.issues) if verdict.issues else b""
    return Finding(verdict.finding, verdict.header, content, outcome)
