"""The `bundles` stage: `bundles` -> `fhir.changes` · `fhir.state.<Type>` · `fhir.snapshots` · `fhir.rejected`.

What operators decided about removals that are held (`release.bundles`) is its second source; what is held is in
`fhir.held`.

Key: the patient's id; in `fhir.state.*` patient/Type/identity. Delivery: as every stage. A bundle that cannot be read
goes to `quarantine.bundles` with its reason, and is told in `fhir.snapshots`; a resource that cannot, to
`fhir.rejected`.
"""

from models import topics
from models.settings import WorkerSettings, load
from streams.blob_store import open_store
from streams.bundles.bundle.store import Blobs
from streams.bundles.job import BundlesJob
from streams.bundles.settings import BundlesSettings
from streams.bundles.validation.pool import Pool
from streams.configuration import engine_settings
from streams.engine.app import Worker, create

SOURCES = (topics.BUNDLES, topics.release("bundles"))


def worker(settings: WorkerSettings) -> Worker:
    """Return the stage, ready to run."""
    ours = settings if isinstance(settings, BundlesSettings) else load(BundlesSettings, **settings.model_dump())
    blobs = Blobs(open_store(ours.blob_store_url), bytes_max=ours.bundle_bytes_max)
    job = BundlesJob(blobs, Pool(ours.standards, ours.pool_limits), ours.options)
    # One bundle can be half a gigabyte: records are few and small, the work on each is long.
    return create(job, engine_settings("bundles", SOURCES, ours, batch_records_max=20))
