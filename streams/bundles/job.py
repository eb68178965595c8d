"""Compare one fetched bundle at a time with what is known of its patient, and publish what changed, in steps.

The patient's manifest is written beside the old one on the way and takes its place with the last step, so that a run
after a crash compares with what this one compared with and gives the same outputs.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, nullcontext
from typing import NamedTuple

from models import records, topics, tuning
from models.errors import Poison
from streams.bundles import decision
from streams.bundles.bundle.file import BundleFile
from streams.bundles.bundle.progress import Progress
from streams.bundles.bundle.record import BundleRecord, decoded, snapshot_value
from streams.bundles.bundle.store import Blobs
from streams.bundles.events import REMOVALS_HELD, WHEN_NOT_BELIEVED
from streams.bundles.records import SnapshotRecords, as_json
from streams.bundles.snapshot import clock, compare, diff, holds, manifest_format
from streams.bundles.snapshot.brake import Brake
from streams.bundles.snapshot.compare import ChunkValidator, Delivered, Found
from streams.bundles.snapshot.diff import Difference, Grace, Rules, Snapshot
from streams.bundles.snapshot.manifest import Manifest
from streams.bundles.snapshot.resources import Resource
from streams.bundles.validation.chunk import CRASHED, REFUSED
from streams.concurrency import iterate_in_thread
from streams.engine.job import Output, Record, Step, StepContext, StepwiseJob
from streams.engine.log import quarantine

_STEP_OUTPUTS_MAX = 200
_STEP_BYTES_MAX = 4 * 2**20
_BUNDLES_AT_ONCE = 64  # more partitions than one worker has; a thread that is not needed is not started
_NOTHING = hashlib.sha256().hexdigest()


class Options(NamedTuple):
    """What an operator can set; `value_bytes_max` is the largest resource that is published whole."""

    prefix: str
    state_types: tuple[str, ...]
    value_bytes_max: int
    validator_id: str
    resources_max: int = 1_000_000
    grace: Grace = Grace()
    brake: Brake = Brake()


class BundlesJob(StepwiseJob):
    """The work of the `bundles` stage."""

    reads_decisions = True

    def __init__(self, blobs: Blobs, validator: ChunkValidator, options: Options) -> None:
        self._blobs = blobs
        self._validator = validator
        self._options = options
        self._threads = ThreadPoolExecutor(_BUNDLES_AT_ONCE, "bundles")
        self._started: Future[None] | None = None
        prefix = options.prefix
        states = (f"fhir.state.{name}" for name in (*options.state_types, "other"))
        named = (
            topics.FHIR_CHANGES,
            topics.FHIR_SNAPSHOTS,
            topics.FHIR_REJECTED,
            topics.FHIR_HELD,
            topics.FHIR_ALIASES,
            *states,
        )
        self.outputs = tuple(prefix + name for name in named)
        self._decisions = prefix + topics.release("bundles")
        self.quarantine = prefix + topics.quarantine("bundles")

    def bound(self, _engine: object) -> None:
        """Get the validator ready while the group forms."""
        self._started = self._threads.submit(self._validator.start)

    async def assigned(self, _partitions: frozenset[int]) -> None:
        """Take no work before the validator answers."""
        assert self._started is not None, "the engine is bound first"
        await asyncio.wrap_future(self._started)

    async def process(self, record: Record, context: StepContext) -> AsyncGenerator[Step, None]:
        """Yield the steps of one bundle, or of one decision of an operator.

        They are made in a thread, which stops soon after nobody asks for more. Raise `Poison` for a bundle that cannot
        be taken, `Unavailable` if the blob store or the pool cannot be used.
        """
        progress = Progress(context.moved)
        if record.topic == self._decisions:
            decided = decision.decoded(record)
            if decided is None:
                return
            steps = self._decided(record, decided, context)
        else:
            source = decoded(record)
            bundle = source.bundle
            if not bundle.patient_id:
                raise Poison("no_patient")
            if bundle.outcome != "stored" or bundle.format != "json":
                return
            if bundle.bytes and not bundle.blob:
                raise Poison("no_blob")
            steps = self._steps(record, source, context, progress)
        try:
            async with aclosing(iterate_in_thread(steps, self._threads)) as made:
                async for step in made:
                    yield step
        finally:
            progress.give_up()

    def refused(self, record: Record, reason: str) -> tuple[Output, ...]:
        """Return the snapshot that says why a bundle was not taken; nothing for a record that is none."""
        if record.topic == self._decisions:
            return ()
        try:
            source = decoded(record)
        except Poison:
            return ()
        return (self._snapshot(source, Found(None, {}), None, reason),)

    def _steps(self, record: Record, source: BundleRecord, context: StepContext, progress: Progress) -> Iterator[Step]:
        bundle = source.bundle
        manifest = manifest_format.read(bundle.patient_id or "", context.get)
        # No data at all: Metriport then sends no link. It is a snapshot with nothing in it.
        on_disk = self._blobs.on_disk(bundle.blob, progress) if bundle.blob else nullcontext(BundleFile())
        with on_disk as opened, tuning.collector_paused_for(opened.size()):
            options = self._options
            delivered, rules = _delivered(record, bundle, options.validator_id), Rules(options.grace, options.brake)
            found = compare.compare(
                delivered, opened, manifest, self._validator, resources_max=options.resources_max, rules=rules
            )
            last = Step([self._snapshot(source, found, manifest)])
            if found.difference is not None:
                yield from self._changed(record, bundle, opened, found.difference, manifest)
                last = last._replace(changes=dict(manifest.switch()), atomic=True)
            manifest.free()
            yield last

    def _decided(self, record: Record, decided: records.RemovalDecision, context: StepContext) -> Iterator[Step]:
        """Yield the steps of what an operator decided; it is told like a snapshot."""
        bundle = decision.as_bundle(decided)
        manifest = manifest_format.read(decided.patient_id, context.get)
        difference = diff.decide(manifest, decided.snapshot_id, decided.resource_type, remove=decided.action == "apply")
        last = Step([self._snapshot(BundleRecord(bundle, {}), Found(difference, {}), manifest)])
        yield from self._changed(record, bundle, BundleFile(), difference, manifest)
        yield last._replace(changes=dict(manifest.switch()), atomic=True)

    def _changed(
        self, record: Record, bundle: records.Bundle, opened: BundleFile, difference: Difference, manifest: Manifest
    ) -> Iterator[Step]:
        """Yield the steps that publish a difference, and those that write the manifest beside the old one."""
        for batch in _batches(self._published(record, bundle, opened, difference, manifest)):
            yield Step(batch)
        for key, value in manifest.shards():
            yield Step(changes={key: value})

    def _published(
        self, record: Record, bundle: records.Bundle, opened: BundleFile, difference: Difference, manifest: Manifest
    ) -> Iterator[Output]:
        """Yield the changes between their marks, if there are any, and what was refused."""
        made = self._records(bundle)

        def bytes_of(resource: Resource) -> bytes:
            return opened.bytes(resource.start, resource.end)

        changed = bool(difference.held) or any(event.change not in REFUSED for event in difference.events)
        for alias in dict.fromkeys(difference.aliases):
            yield made.alias(alias)
        if changed:
            yield made.started(difference.counts)
        for event in difference.events:
            yield from made.of_event(event, bytes_of)
            if event.change == CRASHED and event.resource is not None:
                refused = quarantine.quarantined(record, "crashed", topic=self.quarantine)
                yield refused._replace(value=made.value_of(event.resource, bytes_of))
        tuning.free_one_by_one(difference.events)
        if difference.held:
            REMOVALS_HELD(len(difference.held), resources=len(difference.held))
            yield made.held(difference.held)
        if difference.holds_changed:
            yield made.waiting(holds.told(manifest))
        if changed:
            yield made.completed(difference.counts)

    def _snapshot(
        self, source: BundleRecord, found: Found, manifest: Manifest | None, reason: str | None = None
    ) -> Output:
        bundle = source.bundle
        state = manifest.head.state if manifest is not None else {}
        made = self._records(bundle)
        counts = as_json(found.difference.counts) if found.difference is not None else {}
        summary = records.Snapshot(
            **{name: getattr(bundle, name) for name in records.Common.model_fields},
            snapshot_id=bundle.message_id,
            kind=made.kind,
            complete=bundle.complete,
            counts=records.SnapshotCounts.model_validate(counts),
            by_type=found.by_type,
            state={name: count for name, count in sorted(state.items()) if count},
            sequence=manifest.head.sequence if manifest is not None else 0,
            missing=holds.names(found.difference.missing) if found.difference is not None else [],
            sha256=bundle.sha256,
            stale=found.difference is None and reason is None,
            reason=reason,
        )
        return made.snapshot(snapshot_value(summary, source.passed_on))

    def _records(self, bundle: records.Bundle) -> SnapshotRecords:
        options = self._options
        return SnapshotRecords(
            bundle,
            prefix=options.prefix,
            state_types=options.state_types,
            value_bytes_max=options.value_bytes_max,
        )


def _delivered(record: Record, bundle: records.Bundle, validator_id: str) -> Delivered:
    times = clock.times(bundle.when, bundle.received_at, record.timestamp)
    if times.doubt:
        WHEN_NOT_BELIEVED(reason=times.doubt)
    sha256 = bundle.sha256 or ("" if bundle.blob else _NOTHING)
    snapshot = Snapshot(bundle.message_id, times.when_ms, times.at_ms, times.latest_ms, sha256, bundle.blob or "")
    return Delivered(bundle.patient_id or "", bundle.kind, bundle.complete, snapshot, validator_id)


def _batches(published: Iterator[Output]) -> Iterator[list[Output]]:
    batch: list[Output] = []
    size = 0
    for output in published:
        batch.append(output)
        size += len(output.value or b"")
        if len(batch) >= _STEP_OUTPUTS_MAX or size >= _STEP_BYTES_MAX:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
