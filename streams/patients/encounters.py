"""Piece a patient's stays together from admissions, transfers and discharges in any order. Pure.

A message names its stay by the encounter id in its link's path where there is one (a hint, but a stable one), else by
the time of admission. Stays that turn out to have the same admission are one.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from streams.patients.versions import Version, instant, keep_newest, latest, told

STAYS_MAX = 500

_ENCOUNTER_IN_PATH = re.compile(r"/ADT/([^/]{1,100})/")


def add(stays: dict[str, Any], record: dict[str, Any], at: Version) -> None:
    """Fold what one `patient.*` record says into `stays`."""
    name = _stay(record)
    if name not in stays and len(stays) >= STAYS_MAX:
        del stays[min(stays, key=lambda other: (instant(stays[other].get("admit")), other))]
    stay = stays.setdefault(name, {"transfers": []})
    keep_newest(stay, "admit", told(record.get("admitTimestamp")), at)
    keep_newest(stay, "discharge", told(record.get("dischargeTimestamp")), at)
    transfers = record.get("transfers")
    if isinstance(transfers, list):
        stay["transfers"] = _union(stay["transfers"], [each for each in transfers if isinstance(each, dict)])


def encounters(stays: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the stays as other teams read them, oldest first."""
    merged: dict[str, dict[str, Any]] = {}
    for name in sorted(stays):
        stay = stays[name]
        admit, discharge = stay.get("admit"), stay.get("discharge")
        found = merged.setdefault(instant(admit) or name, {"admit": admit, "transfers": [], "discharge": None})
        found["transfers"] = _union(found["transfers"], stay["transfers"])
        found["discharge"] = latest(found["discharge"], discharge)
    return sorted(merged.values(), key=lambda stay: (instant(stay["admit"] or stay["discharge"]), str(stay)))


def _stay(record: dict[str, Any]) -> str:
    found = _ENCOUNTER_IN_PATH.search(_path(told(record.get("url"))))
    if found:
        return f"encounter {found.group(1)}"
    admit = instant(record.get("admitTimestamp"))
    return f"admitted {admit}" if admit else f"discharged {instant(record.get('dischargeTimestamp'))}"


def _path(url: str | None) -> str:
    try:
        return urlsplit(url or "").path
    except ValueError:  # a host in brackets that is none
        return ""


def _union(known: list[Any], more: list[Any]) -> list[Any]:
    found = {repr(sorted(transfer.items())): transfer for transfer in (*known, *more)}
    return [found[name] for name in sorted(found, key=lambda name: (instant(found[name].get("timestamp")), name))]
