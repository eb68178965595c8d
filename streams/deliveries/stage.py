"""The `deliveries` stage: `webhooks` -> one topic per message type | `unrecognised` | `quarantine.deliveries`.

What differs from what is known of Metriport's messages is told beside, in `drift`.
Key: the patient's id. Delivery: each record's output is written once, also across crashes. A bad record goes to
`quarantine.deliveries` with its bytes, a reason and its position; its neighbours go on.
"""

from models import topics
from streams.audit import audit
from streams.configuration import engine_settings
from streams.deliveries.alarm import Alarm
from streams.deliveries.drift import Bounds
from streams.deliveries.job import DeliveriesJob
from streams.deliveries.settings import DeliveriesSettings
from streams.engine.app import Stage, create


def worker(settings: DeliveriesSettings) -> Stage:
    """Return the stage, ready to run."""
    bounds = Bounds(settings.drift_paths_max, settings.drift_absent_records, settings.drift_values_max)
    engine = engine_settings("deliveries", [topics.WEBHOOKS], settings, batch_records_max=settings.batch_records_max)
    news = audit(engine, settings.topic_prefix).news
    job = DeliveriesJob(
        settings.topic_prefix,
        deduplicate=settings.deduplicate,
        bounds=bounds if settings.drift else None,
        alarm=Alarm(news, poll_s=settings.drift_audit_poll_s) if settings.drift else None,
        record_bytes_max=settings.record_bytes_max,
    )
    return create(job, engine)
