"""New deliveries from the samples: fresh ids and times, links that live again, whatever is to be different. Pure."""

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from cli import near
from models import samples
from models.errors import Misconfigured
from models.headers import timestamp

PATHS_SHOWN_MAX = 40

_ORIGIN = re.compile(r"https://[a-z0-9.-]+\.amazonaws\.com")
_SIGNED_AT = re.compile(r"X-Amz-Date=\d{8}T\d{6}Z")


def choose(name: str) -> dict[str, Any]:
    """Return the sample called `name`, or raise `Misconfigured` with the names that are like it."""
    try:
        return samples.load(name)
    except KeyError:
        meant = near.question(name, samples.names())
        raise Misconfigured(f"There is no sample {name!r}.{meant} `trigger list` shows them all.") from None


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
    """Apply `path=value`: dots between names and list positions, the value as JSON, or as text if it is not JSON.

    Raise `Misconfigured` if the delivery has no such path: what Metriport does not send would test nothing.
    """
    path, equals, text = assignment.partition("=")
    *parents, last = path.split(".")
    if not equals or not last:
        raise Misconfigured(f"{assignment!r} is not PATH=VALUE, as in meta.when=2026-01-01T00:00:00.000Z.")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    part: Any = delivery
    try:
        for name in parents:
            part = part[_place(part, name)]
        place = _place(part, last)
        part[place]
        part[place] = value
    except (IndexError, KeyError, TypeError, ValueError):
        raise Misconfigured(_no_path(delivery, path)) from None


def paths(part: Any, before: str = "") -> Iterator[str]:  # noqa: ANN401 - whatever JSON can say
    """Yield every path that can be set in a delivery, and that holds no other."""
    if part and isinstance(part, dict | list):
        names = part if isinstance(part, dict) else range(len(part))
        for name in names:
            yield from paths(part[name], f"{before}.{name}" if before else str(name))
    else:
        yield before


def _place(part: Any, name: str) -> str | int:  # noqa: ANN401 - whatever JSON can say
    if isinstance(part, list):
        if not name.isascii() or not name.isdigit():  # -1 would be the last
            raise ValueError(name)
        return int(name)
    if not isinstance(part, dict):
        raise TypeError(name)
    return name


def _no_path(delivery: dict[str, Any], path: str) -> str:
    there = list(paths(delivery))
    last = path.rpartition(".")[2]
    # The same name elsewhere is what is meant more often than a path that is spelled like it.
    alike = dict.fromkeys((*(each for each in there if each.rpartition(".")[2] == last), *near.names(path, there)))
    meant = f" Did you mean {' or '.join([*alike][: near.SHOWN_MAX])}?" if alike else ""
    shown = ", ".join(there[:PATHS_SHOWN_MAX]) + (", ..." if len(there) > PATHS_SHOWN_MAX else "")
    return f"There is no such path in this sample: {path}.{meant} There are: {shown}."


def served_by(delivery: dict[str, Any], origin: str) -> dict[str, Any]:
    """Return the delivery with every link pointing at `origin`; the rest of the link is kept."""
    renewed: dict[str, Any] = json.loads(_ORIGIN.sub(origin, json.dumps(delivery)))
    return renewed


def patient_of(delivery: dict[str, Any]) -> str:
    """Return the id of the first patient that the delivery names, "nobody" if it names none."""
    patients, payload = delivery.get("patients"), delivery.get("payload")
    parts = [*(patients if isinstance(patients, list) else ()), payload]
    ids = (part.get("patientId") for part in parts if isinstance(part, dict))
    return next((str(each) for each in ids if each), "nobody")
