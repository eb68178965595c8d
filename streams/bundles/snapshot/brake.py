"""Decide how much may vanish without a person: what would end more than that is held."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streams.bundles.resource import facets
from streams.bundles.snapshot.manifest import Entry, Manifest, Scope

DAY_MS = 24 * 60 * 60 * 1000
_DOCUMENT_MIN = 2  # resources of a document that vanish together; one alone says nothing of its document


@dataclass(frozen=True, slots=True)
class Brake:
    """More than `share_max` of the largest set that was accepted within `window_days`, if at least `resources_min`."""

    share_max: float = 0.2
    resources_min: int = 10
    window_days: int = 30

    def is_too_much(self, scope: Scope, count: int, at_ms: int) -> bool:
        """Whether `count` more removals are too many, with those that the scope had within the window."""
        since = at_ms // DAY_MS - self.window_days
        total = count + sum(removed for day, removed in scope.removals if day > since)
        largest = max((accepted for day, accepted in scope.sets if day > since), default=0)
        return total >= self.resources_min and total > self.share_max * largest

    def note_set(self, scope: Scope, accepted: int, at_ms: int) -> None:
        """Remember how large a set of the scope was accepted."""
        day = at_ms // DAY_MS
        # A set that is not larger than a newer one never counts again.
        kept = [(at, count) for at, count in scope.sets if at > day - self.window_days and count > accepted]
        scope.sets = [*kept, (day, accepted)]

    def note_removed(self, scope: Scope, count: int, at_ms: int) -> None:
        """Remember how much of the scope was removed."""
        day = at_ms // DAY_MS
        kept = {at: before for at, before in scope.removals if at > day - self.window_days}
        kept[day] = kept.get(day, 0) + count
        scope.removals = sorted(kept.items())


def is_whole(manifest: Manifest, going: Sequence[Entry]) -> bool:
    """Whether nothing of the patient would be left, or nothing of one of the documents it is from."""
    chosen = set(map(id, going))
    if not any(entry.published and id(entry) not in chosen for entry in manifest):
        return True
    vanishing = _count(going, lambda _: True)
    documents = {document for document, count in vanishing.items() if count >= _DOCUMENT_MIN}
    if not documents:
        return False
    staying = _count(manifest, lambda entry: entry.published and id(entry) not in chosen)
    return any(document not in staying for document in documents)


def _count(entries: Sequence[Entry] | Manifest, is_meant: Callable[[Entry], bool]) -> dict[int, int]:
    """Return how many of the entries are from each document."""
    counts: dict[int, int] = {}
    for entry in entries:
        if entry.facets and is_meant(entry):
            for document in facets.by_element(entry.facets).get(facets.DOCUMENTS, ()):
                counts[document] = counts.get(document, 0) + 1
    return counts
