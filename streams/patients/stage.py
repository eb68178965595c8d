"""The `patients` stage: everything that speaks of a patient or a bulk job -> `patients` · `requests` · `bulk-jobs`.

All three are compacted. Key: the patient's id, in `requests` with the request's id behind it, in `bulk-jobs` the job's.
Delivery: as every stage. The state does not depend on the order in which topics arrive, nor on how often.
"""

from streams.configuration import engine_settings
from streams.engine.app import Stage, create
from streams.patients.job import SOURCES, PatientsJob
from streams.patients.settings import PatientsSettings


def worker(settings: PatientsSettings) -> Stage:
    """Return the stage, ready to run."""
    engine = engine_settings("patients", SOURCES, settings, batch_records_max=settings.batch_records_max)
    return create(PatientsJob(settings.topic_prefix), engine)
