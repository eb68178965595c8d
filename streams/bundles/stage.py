"""The `bundles` stage: `bundles` -> `fhir.changes` · `fhir.state.<Type>` · `fhir.snapshots` · `fhir.rejected`.

What operators decided about removals that are held (`release.bundles`) is its second source; what is held is in
`fhir.held`.

Key: the patient's id; in `fhir.state.*` patient/Type/identity. Delivery: as every stage. A bundle that cannot be read
goes to `quarantine.bundles` with its reason, and is told in `fhir.snapshots`; a resource that cannot, to
`fhir.rejected`.
"""

from models import topics
from streams.blob_store import open_store
from streams.bundles.bundle.store import Blobs
from streams.bundles.job import BundlesJob, Options
from streams.bundles.resource import content_hash
from streams.bundles.settings import BundlesSettings
from streams.bundles.snapshot import subjects
from streams.bundles.snapshot.brake import Brake
from streams.bundles.snapshot.diff import Grace
from streams.bundles.validation.build import Standards, validator_id
from streams.bundles.validation.pool import Pool, PoolLimits
from streams.configuration import engine_settings
from streams.engine.app import Stage, create

SOURCES = (topics.BUNDLES,)

_DAY_MS = 24 * 60 * 60 * 1000


def worker(settings: BundlesSettings) -> Stage:
    """Return the stage, ready to run."""
    blobs = Blobs(open_store(settings.blob_store_url), bytes_max=settings.bundle_bytes_max)
    limits = PoolLimits(processes=settings.fhir_processes, resource_timeout_s=settings.resource_timeout_s)
    job = BundlesJob(blobs, Pool(_standards(settings), limits), _options(settings))
    # One bundle can be half a gigabyte: records are few and small, the work on each is long.
    return create(job, engine_settings("bundles", SOURCES, settings, batch_records_max=20))


def _standards(settings: BundlesSettings) -> Standards:
    """Return how resources are validated."""
    return Standards(
        level=settings.fhir_level,
        level_by_type=settings.fhir_level_by_type,
        resource_bytes_max=settings.resource_bytes_max,
        elements_max=settings.resource_elements_max,
        depth_max=settings.resource_depth_max,
        fast=settings.fhir_fast,
        audit_one_in=settings.fhir_audit_one_in,
        memory_bytes_max=settings.fhir_process_bytes_max,
    )


def _options(settings: BundlesSettings) -> Options:
    """Return what the job needs to know."""
    return Options(
        prefix=settings.topic_prefix,
        state_types=settings.fhir_state_types or topics.FHIR_STATE_TYPES,
        value_bytes_max=min(settings.value_bytes_max, settings.record_bytes_max - 2**16),
        validator_id=" ".join(
            [
                validator_id(),
                f"content={content_hash.VERSION}",
                f"subjects={subjects.VERSION}",
                f"level={settings.fhir_level}",
                f"{sorted(settings.fhir_level_by_type.items())}",
            ]
        ),
        resources_max=settings.bundle_resources_max,
        grace=Grace(settings.removed_after_absences, round(settings.removed_after_days * _DAY_MS)),
        brake=Brake(settings.removals_share_max, settings.removals_held_from, settings.removals_window_days),
    )
