"""New deliveries from the samples: fresh ids and times, links that live again, whatever is to be different. Pure."""

import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any

from models import samples
from models.errors import Misconfigured
from models.headers import timestamp

_ORIGIN = re.compile(r"https://[a-z0-9.-]+\.amazonaws\.com")
_SIGNED_AT = re.compile(r"X-Amz-Date=\d{8}T\d{6}Z")


def choose(name: str) -> dict[str, Any]:
    """Return the sample called `name`, or raise `Misconfigured` with the names there are."""
    try:
        return samples.load(name)
    except KeyError:
        raise Misconfigured(f"There is no sample {name!r}. There are: {', '.join(samples.names())}.") from None


def fresh(delivery: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """Return the delivery as if Metriport sent it now: new message and request ids, `when`, and newly signed links."""
    signed_at = f"X-Amz-Date={now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    renewed: dict[str, Any] = json.loads(_SIGNED_AT.sub(signed_at, json.dumps(delivery)))
    meta = renewed["meta"]
    meta["messageId"] = str(uuid.uuid4())
    meta["when"] = timestamp(now)
    if "requestId" in meta:
        meta["requestId"] = str(uuid.uuid4())
    if "bulkPatientCreate" in renewed:
        renewed["bulkPatientCreate"]["requestId"] = meta["requestId"]
    return renewed


def change(delivery: dict[str, Any], assignment: str) -> None:
    """Apply `path=value`: dots between names and list positions, the value as JSON, or as text if it is not JSON."""
    path, equals, text = assignment.partition("=")
    *parents, last = path.split(".")
    if not equals or not last:
        raise Misconfigured(f"{assignment!r} is not path=value, as in patients.0.patientId=p-9.")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    part: Any = delivery
    try:
        for name in parents:
            part = part[int(name)] if isinstance(part, list) else part.setdefault(name, {})
        part[int(last) if isinstance(part, list) else last] = value
    except (AttributeError, IndexError, TypeError, ValueError):
        raise Misconfigured(f"The sample has no place {path!r}.") from None


def served_by(delivery: dict[str, Any], origin: str) -> dict[str, Any]:
    """Return the delivery with every link pointing at `origin`; the rest of the link is kept."""
    renewed: dict[str, Any] = json.loads(_ORIGIN.sub(origin, json.dumps(delivery)))
    return renewed


def patient_of(delivery: dict[str, Any]) -> str:
    """Return the id of the first patient that the delivery names, "nobody" if it names none."""
    parts = [*delivery.get("patients", ()), delivery.get("payload", {})]
    return next((str(part["patientId"]) for part in parts if part.get("patientId")), "nobody")
