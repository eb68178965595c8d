"""One bundle, from its bytes to what it changes: survey, judge, recognise, compare. Nothing is published on the way."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple, Protocol

from models import records, tuning
from models.errors import Poison
from streams.bundles.bundle.file import BundleFile
from streams.bundles.snapshot import diff, scan, subjects
from streams.bundles.snapshot.diff import CONSOLIDATED, Difference, Rules, Source
from streams.bundles.snapshot.manifest import Entry, Manifest
from streams.bundles.snapshot.matching import Identities
from streams.bundles.snapshot.references import Resolver
from streams.bundles.snapshot.scan import Row
from streams.bundles.snapshot.subjects import OTHER_PATIENT, Judgement
from streams.bundles.validation.chunk import CRASHED, CRASHED_MAX, Finding

_NOTIFICATION = "notification"
_PATIENT = "Patient"


class Examiner(Protocol):
    """Whoever judges resources; the pool does."""

    def start(self) -> None:
        """Get ready."""

    def examine(self, chunks: Iterable[list[bytes]], moved: Callable[[], None]) -> Iterator[list[Finding]]:
        """Yield the findings on each chunk, in the order of its resources; take only a few chunks ahead.

        Call `moved`, from any thread, whenever resources were looked at.
        """


class SnapshotLimits(NamedTuple):
    """How much is taken at once, and at most."""

    block_bytes: int = 2**20
    entry_bytes_max: int = 64 * 2**20
    resources_max: int = 1_000_000
    chunk_resources_max: int = 500
    chunk_bytes_max: int = 2**19


class Claim(NamedTuple):
    """What the record says about the bundle; times as in `Source`."""

    patient: str
    snapshot_id: str
    when_ms: int
    at_ms: int
    latest_ms: int
    kind: records.BundleKind
    complete: bool
    validator: str
    sha256: str = ""
    blob: str = ""


class Found(NamedTuple):
    """What a snapshot changes, and how many accepted resources it has by type. No difference: it is stale."""

    difference: Difference | None
    by_type: dict[str, int]


def compare(
    claim: Claim, bundle: BundleFile, manifest: Manifest, examiner: Examiner, *, limits: SnapshotLimits, rules: Rules
) -> Found:
    """Fold the bundle into `manifest`, which is changed; raise `Poison` if it cannot be taken."""
    look = _look(claim, bundle, manifest, limits, rules)
    if isinstance(look, Found):
        return look
    _judge(bundle, look.rows, examiner, limits)
    _refuse_strangers(claim.patient, look)
    look.identities.give(look.rows, fold=look.source.complete)
    return _fold(claim, manifest, look, rules)


class _Look(NamedTuple):
    """What the first look at the bundle found."""

    seen: list[tuple[Entry, bytes]]
    rows: list[Row]
    by_key: dict[object, Row]
    source: Source
    identities: Identities


def _look(claim: Claim, bundle: BundleFile, manifest: Manifest, limits: SnapshotLimits, rules: Rules) -> _Look | Found:
    """Return what a first look finds; or all there is to find, if that was seen before or is too old."""
    trusted = manifest.head.validator == claim.validator
    if trusted and (found := _repeat(claim, manifest, rules)) is not None:
        return found
    blocks = bundle.blocks(block_bytes=limits.block_bytes, entry_bytes_max=limits.entry_bytes_max)
    surveyed = scan.survey(blocks, manifest, trusted=trusted, resources_max=limits.resources_max)
    rows = surveyed.rows()
    seen = list(surveyed.known())
    _check_patient(claim.patient, seen, rows)
    source = _source(claim, manifest, seen, rows)
    if diff.is_stale(manifest, source):
        return Found(None, {})
    resolver = Resolver(manifest, surveyed.by_key)
    identities = Identities(manifest, [entry for entry, _ in seen], surveyed.by_key, resolver)
    return _Look(seen, rows, surveyed.by_key, source, identities)


def _fold(claim: Claim, manifest: Manifest, look: _Look, rules: Rules) -> Found:
    difference = diff.apply(manifest, look.seen, look.rows, look.source, rules)
    by_type = _by_type(look.seen, look.rows)
    manifest.head.validator = claim.validator
    for scope in (*manifest.head.scopes, manifest.head.partial):
        if claim.sha256 and scope.sha256 == claim.sha256:
            scope.by_type = by_type
    tuning.free_one_by_one(look.by_key, look.identities.fresh, look.rows)
    return Found(difference, by_type)


def _repeat(claim: Claim, manifest: Manifest, rules: Rules) -> Found | None:
    """Return what is found if these bytes are the ones their scope has newest, so that nobody needs to read them."""
    if not claim.sha256 or claim.kind == "notification":
        return None
    complete = claim.complete or claim.kind == "encounter"
    known = manifest.head.scopes if complete else [manifest.head.partial]
    for scope in known:
        if scope.sha256 == claim.sha256 and (scope.name in {CONSOLIDATED, "partial"}) == (claim.kind == "consolidated"):
            source = _as_source(claim, scope.name if complete else CONSOLIDATED, complete=complete)
            if diff.is_stale(manifest, source):
                return Found(None, {})
            by_type = scope.by_type
            difference = diff.repeat(manifest, source, rules)
            return Found(difference, by_type) if difference is not None else None
    return None


def _judge(bundle: BundleFile, rows: list[Row], examiner: Examiner, limits: SnapshotLimits) -> None:
    """Have all rows examined, in chunks."""
    chunks = ([bundle.bytes(row.start, row.end) for row in chunk] for chunk in _chunks(rows, limits))
    examined = chain.from_iterable(examiner.examine(chunks, bundle.progress.moved))
    outcomes: dict[bytes, bytes] = {}  # a bundle of nothing but what is refused has a million of the same
    crashed = 0
    for row, finding in zip(rows, examined, strict=True):
        row.finding, row.validation = finding.finding, finding.validation
        row.text, row.facets, row.names = finding.text, finding.facets, finding.names
        row.references, row.outcome = finding.references, outcomes.setdefault(finding.outcome, finding.outcome)
        crashed += finding.finding == CRASHED
    if crashed > CRASHED_MAX:
        raise Poison("too_costly")


def _refuse_strangers(patient: str, look: _Look) -> None:
    """Refuse what is about another patient; raise if a bundle without a Patient is not about ours."""
    if not look.rows:
        return

    def ids(*, patients: bool) -> frozenset[str]:
        seen = {entry.ids[0] for entry, _ in look.seen if (entry.type == _PATIENT) is patients and entry.ids}
        return frozenset(seen | {row.id for row in look.rows if (row.type == _PATIENT) is patients and row.id})

    patients = ids(patients=True)
    judgement = Judgement(patient, lambda: ids(patients=False) - patients)
    # Nearly all are about the same one.
    abouts = {subject: subjects.about(subject) for subject in {row.subject for row in look.rows}}
    strangers = {subject: judgement.strangers(about) for subject, about in abouts.items()}
    # What was seen before is ours: it was accepted.
    ours = any(map(judgement.is_ours, abouts.values())) or any(digest != entry.rejected for entry, digest in look.seen)
    if not patients and not ours and any(strangers.values()):
        raise Poison(OTHER_PATIENT)
    for row in look.rows:
        if strangers[row.subject] or (row.type == _PATIENT and row.id and row.id != patient):
            row.finding, row.validation = "rejected", f"subject {OTHER_PATIENT}"
            row.outcome = subjects.refusal(row.type)


def _chunks(rows: list[Row], limits: SnapshotLimits) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    size = 0
    for row in rows:
        length = row.end - row.start
        if chunk and (len(chunk) >= limits.chunk_resources_max or size + length > limits.chunk_bytes_max):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += length
    if chunk:
        yield chunk


def _check_patient(patient: str, seen: list[tuple[Entry, bytes]], rows: list[Row]) -> None:
    """Raise if the bundle says whose it is, and it is another patient's."""
    patients = {entry.ids[0] for entry, _ in seen if entry.type == "Patient" and entry.ids}
    patients |= {row.id for row in rows if row.type == "Patient" and row.id}
    if patients and patient not in patients:
        raise Poison(OTHER_PATIENT)


def _source(claim: Claim, manifest: Manifest, seen: list[tuple[Entry, bytes]], rows: list[Row]) -> Source:
    if claim.kind == "notification":
        return _as_source(claim, _NOTIFICATION, complete=False)
    if claim.kind == "consolidated":
        return _as_source(claim, CONSOLIDATED, complete=claim.complete)
    known = {entry.ids[0] for entry, _ in seen if entry.type == "Encounter" and entry.ids}
    encounters = sorted(known | {row.id for row in rows if row.type == "Encounter" and row.id})
    scopes = {scope.name for scope in manifest.head.scopes}
    names = [f"encounter/{encounter}" for encounter in encounters]
    # A merged bundle names several encounters: it says what there is of the one that it is known by.
    name = next((name for name in names if name in scopes), names[0] if names else f"encounter-of/{claim.snapshot_id}")
    return _as_source(claim, name, complete=bool(names))


def _as_source(claim: Claim, scope: str, *, complete: bool) -> Source:
    return Source(
        claim.snapshot_id, claim.when_ms, claim.at_ms, claim.latest_ms, scope, complete, claim.sha256, claim.blob
    )


def _by_type(seen: list[tuple[Entry, bytes]], rows: list[Row]) -> dict[str, int]:
    counts = Counter(entry.type for entry, digest in seen if digest != entry.rejected)
    counts.update(row.type for row in rows if row.finding in {"accepted", "flagged", "unchecked"})
    return dict(sorted(counts.items()))
