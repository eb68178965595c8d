"""The `deliveries` stage: `webhooks` -> one topic per message type | `unrecognised` | `quarantine.deliveries`.

Key: the patient's id. Delivery: each record's output is written once, also across crashes. A bad record goes to
`quarantine.deliveries` with its bytes, a reason and its position; its neighbours go on.
"""

from models import topics
from streams.configuration import engine_settings
from streams.deliveries.job import DeliveriesJob
from streams.deliveries.settings import DeliveriesSettings
from streams.engine.app import Stage, create


def worker(settings: DeliveriesSettings) -> Stage:
    """Return the stage, ready to run."""
    job = DeliveriesJob(settings.topic_prefix, deduplicate=settings.deduplicate)
    engine = engine_settings("deliveries", [topics.WEBHOOKS], settings, batch_records_max=settings.batch_records_max)
    return create(job, engine)
