"""Compare one bundle with what is known: scan, validate, match, fold. Nothing is published on the way.

Each step makes values of its own from those of the step before: `Candidate`, `Validated`, `Resource`, `Difference`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple, Protocol, TypeAlias

import msgspec

from models import records, tuning
from models.errors import Poison
from streams.bundles.bundle.file import BundleFile
from streams.bundles.snapshot import diff, matching, scan, subjects
from streams.bundles.snapshot.diff import CONSOLIDATED, Coverage, Difference, Rules, Snapshot
from streams.bundles.snapshot.manifest import Entry, Manifest
from streams.bundles.snapshot.resources import Resource
from streams.bundles.snapshot.scan import Candidate
from streams.bundles.snapshot.subjects import OTHER_PATIENT, Subjects
from streams.bundles.validation.chunk import CRASHED, CRASHED_MAX, REFUSED, Validated

_BLOCK_BYTES = 2**20  # of the bundle that are split at once
_ENTRY_BYTES_MAX = 64 * 2**20
_CHUNK_RESOURCES_MAX = 500  # of one question to the pool
_CHUNK_BYTES_MAX = 2**19
_NOTIFICATION = "notification"
_PATIENT = "Patient"
_ENCOUNTER = "Encounter"

# The entries whose bytes the bundle has, with the hash of those bytes: accepted or rejected ones.
Seen: TypeAlias = list[tuple[Entry, bytes]]


class ChunkValidator(Protocol):
    """What validates resources chunk by chunk: the pool does."""

    def start(self) -> None:
        """Get ready."""

    def validate(self, chunks: Iterable[list[bytes]], moved: Callable[[], None]) -> Iterator[list[Validated]]:
        """Yield the results of each chunk, in the order of its resources; take only a few chunks ahead.

        Call `moved`, from any thread, whenever resources were looked at.
        """


class Delivered(NamedTuple):
    """What the record of a bundle says about it, and which validator is in use: its versions and settings in a text."""

    patient: str
    kind: records.BundleKind
    complete: bool
    snapshot: Snapshot
    validator_id: str


class Found(NamedTuple):
    """What a snapshot changes, and how many accepted resources it has by type. No difference: it is stale."""

    difference: Difference | None
    by_type: dict[str, int]


_STALE = Found(None, {})


def compare(
    delivered: Delivered,
    bundle: BundleFile,
    manifest: Manifest,
    validator: ChunkValidator,
    *,
    resources_max: int,
    rules: Rules,
) -> Found:
    """Fold the bundle into `manifest`, which is changed; raise `Poison` if it cannot be taken.

    Blocks: not for the event loop. Raise `Unwanted` once nobody waits for it, `Unavailable` if the pool cannot work.
    """
    patient, snapshot = delivered.patient, delivered.snapshot
    trusted = manifest.head.validator == delivered.validator_id
    if trusted and (found := _repeated(delivered, manifest, rules)) is not None:
        return found

    blocks = bundle.blocks(block_bytes=_BLOCK_BYTES, entry_bytes_max=_ENTRY_BYTES_MAX)
    scanned = scan.scan_bundle(blocks, manifest, trusted=trusted, resources_max=resources_max)
    candidates, seen = scanned.candidates(), list(scanned.known())
    _check_patient(patient, seen, candidates)
    coverage = _coverage(delivered, manifest, seen, candidates)
    if diff.is_stale(manifest, snapshot, coverage):
        return _STALE

    results = _validated(bundle, candidates, validator)
    _refuse_strangers(patient, seen, candidates, results)

    known = [entry for entry, _ in seen]
    resources = matching.match(manifest, known, candidates, results, fold=coverage.complete)
    tuning.free_one_by_one(candidates, results)

    difference = diff.apply(manifest, seen, resources, snapshot, coverage, rules=rules)
    by_type = _by_type(seen, resources)
    manifest.head.validator = delivered.validator_id
    for scope in (*manifest.head.scopes, manifest.head.partial):
        if snapshot.sha256 and scope.sha256 == snapshot.sha256:
            scope.by_type = by_type
    tuning.free_one_by_one(resources)
    return Found(difference, by_type)


def _repeated(delivered: Delivered, manifest: Manifest, rules: Rules) -> Found | None:
    """Return what is found if these bytes are the ones their scope has newest, so that they need not be read."""
    sha256, kind = delivered.snapshot.sha256, delivered.kind
    if not sha256 or kind == "notification":
        return None
    complete = delivered.complete or kind == "encounter"
    for scope in manifest.head.scopes if complete else [manifest.head.partial]:
        if scope.sha256 == sha256 and (scope.name in {CONSOLIDATED, "partial"}) == (kind == "consolidated"):
            coverage = Coverage(scope.name if complete else CONSOLIDATED, complete=complete)
            if diff.is_stale(manifest, delivered.snapshot, coverage):
                return _STALE
            by_type = scope.by_type
            difference = diff.repeat(manifest, delivered.snapshot, coverage, rules)
            return Found(difference, by_type) if difference is not None else None
    return None


def _check_patient(patient: str, seen: Seen, candidates: list[Candidate]) -> None:
    """Raise if the bundle says whose it is, and it is another patient's."""
    patients = _ids(_PATIENT, seen, candidates)
    if patients and patient not in patients:
        raise Poison(OTHER_PATIENT)


def _ids(resource_type: str, seen: Seen, candidates: list[Candidate]) -> set[str]:
    """Return the present ids of the bundle's resources of one type."""
    known = {entry.ids[0] for entry, _ in seen if entry.type == resource_type and entry.ids}
    return known | {candidate.id for candidate in candidates if candidate.type == resource_type and candidate.id}


def _coverage(delivered: Delivered, manifest: Manifest, seen: Seen, candidates: list[Candidate]) -> Coverage:
    if delivered.kind == "notification":
        return Coverage(_NOTIFICATION, complete=False)
    if delivered.kind == "consolidated":
        return Coverage(CONSOLIDATED, complete=delivered.complete)
    encounters = sorted(_ids(_ENCOUNTER, seen, candidates))
    scopes = {scope.name for scope in manifest.head.scopes}
    names = [f"encounter/{encounter}" for encounter in encounters]
    # A merged bundle names several encounters: it says what there is of the one that it is known by.
    first = names[0] if names else f"encounter-of/{delivered.snapshot.id}"
    return Coverage(next((name for name in names if name in scopes), first), complete=bool(names))


def _validated(bundle: BundleFile, candidates: list[Candidate], validator: ChunkValidator) -> list[Validated]:
    """Return the result of each candidate; raise `Poison` if too many crashed."""
    chunks = ([bundle.bytes(each.start, each.end) for each in chunk] for chunk in _chunks(candidates))
    results: list[Validated] = []
    outcomes: dict[bytes, bytes] = {}  # a bundle of nothing but what is refused has a million of the same
    for result in chain.from_iterable(validator.validate(chunks, bundle.progress.moved)):
        if result.outcome:
            result.outcome = outcomes.setdefault(result.outcome, result.outcome)
        results.append(result)
    if sum(result.status == CRASHED for result in results) > CRASHED_MAX:
        raise Poison("too_costly")
    return results


def _chunks(candidates: list[Candidate]) -> Iterator[list[Candidate]]:
    chunk: list[Candidate] = []
    size = 0
    for candidate in candidates:
        length = candidate.end - candidate.start
        if chunk and (len(chunk) >= _CHUNK_RESOURCES_MAX or size + length > _CHUNK_BYTES_MAX):
            yield chunk
            chunk, size = [], 0
        chunk.append(candidate)
        size += length
    if chunk:
        yield chunk


def _refuse_strangers(patient: str, seen: Seen, candidates: list[Candidate], results: list[Validated]) -> None:
    """Refuse what is about another patient, in `results`; raise if a bundle without a Patient is not about ours."""
    if not candidates:
        return

    def others() -> frozenset[str]:
        """Return the ids of all that is no Patient."""
        known = {entry.ids[0] for entry, _ in seen if entry.type != _PATIENT and entry.ids}
        return frozenset(known | {each.id for each in candidates if each.type != _PATIENT and each.id} - patients)

    patients = _ids(_PATIENT, seen, candidates)
    who = Subjects(patient, others)
    # Nearly all are about the same one.
    abouts = {subject: subjects.about(subject) for subject in {candidate.subject for candidate in candidates}}
    strangers = {subject: who.strangers(about) for subject, about in abouts.items()}
    # What was seen before is ours: it was accepted.
    ours = any(map(who.is_ours, abouts.values())) or any(digest != entry.rejected for entry, digest in seen)
    if not patients and not ours and any(strangers.values()):
        raise Poison(OTHER_PATIENT)
    for number, candidate in enumerate(candidates):
        is_other_patient = candidate.type == _PATIENT and candidate.id and candidate.id != patient
        if strangers[candidate.subject] or is_other_patient:
            results[number] = msgspec.structs.replace(
                results[number],
                status="rejected",
                validation=f"subject {OTHER_PATIENT}",
                outcome=subjects.refusal(candidate.type),
            )


def _by_type(seen: Seen, resources: list[Resource]) -> dict[str, int]:
    counts = Counter(entry.type for entry, digest in seen if digest != entry.rejected)
    counts.update(resource.type for resource in resources if resource.status not in REFUSED)
    return dict(sorted(counts.items()))
