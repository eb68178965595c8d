"""Keep account of removals that wait for a person: what is missing for long enough, by the snapshot that showed it."""

from collections import Counter

from models import records
from streams.bundles.snapshot.manifest import Entry, Manifest

TOLD_MAX = 1000


def counts(manifest: Manifest) -> Counter[int]:
    """Return how many entries are held, by number."""
    if not manifest.head.holds:
        return Counter()
    return Counter(absence.hold for entry in manifest for absence in entry.absences if absence.hold)


def settle(manifest: Manifest, before: Counter[int]) -> bool:
    """Forget the numbers under which nothing is held any more; return whether there is more or less than `before`."""
    now = counts(manifest)
    manifest.head.holds = {number: snapshot for number, snapshot in manifest.head.holds.items() if number in now}
    return now != before


def told(manifest: Manifest) -> records.Held | None:
    """Return what waits for a person, as other teams read it; None if nothing does."""
    held: dict[int, list[Entry]] = {}
    for entry in sorted(manifest, key=lambda entry: (entry.type, entry.identity)) if manifest.head.holds else ():
        for absence in entry.absences:
            if absence.hold:
                held.setdefault(absence.hold, []).append(entry)
    found = [_hold(manifest.head.holds[number], entries) for number, entries in sorted(held.items())]
    return records.Held(patient_id=manifest.patient, holds=found) if found else None


def names(entries: list[Entry]) -> list[str]:
    """Return the first of some entries by type and identity."""
    return [f"{entry.type}/{entry.identity}" for entry in entries[:TOLD_MAX]]


def _hold(snapshot_id: str, entries: list[Entry]) -> records.Hold:
    by_type = dict(Counter(entry.type for entry in entries))
    return records.Hold(snapshot_id=snapshot_id, count=len(entries), by_type=by_type, resources=names(entries))
