"""An OperationOutcome that says what is wrong and holds nothing of what was received."""

from collections.abc import Iterable
from typing import Any

import orjson

from streams.bundles.validation.issues import Issue

_SYSTEM = "https://docs.pydantic.dev/errors"


def operation_outcome(issues: Iterable[Issue]) -> bytes:
    """Return `issues` as a FHIR OperationOutcome in JSON."""
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": [_entry(issue) for issue in issues]})


def _entry(issue: Issue) -> dict[str, Any]:
    return {
        "severity": issue.severity,
        "code": issue.code,
        "details": {"coding": [{"system": _SYSTEM, "code": issue.kind}], "text": issue.text},
        "expression": [issue.expression],
    }
