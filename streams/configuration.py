"""From what an operator set to what one stage's engine needs."""

from collections.abc import Sequence

from models import topics
from models.security import security_options
from streams.code_version import code_version
from streams.engine.settings import EngineSettings
from streams.settings import StageSettings


def engine_settings(
    stage: str, sources: Sequence[str], settings: StageSettings, *, batch_records_max: int
) -> EngineSettings:
    """Return the engine's settings of one stage, which takes `batch_records_max` records at once.

    What operators decided for the stage is one source more.
    """
    decisions = topics.release(stage)
    return EngineSettings(
        stage=stage,
        app_id=settings.topic_prefix + stage,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        sources=tuple(settings.topic_prefix + source for source in (*sources, decisions)),
        partitions=settings.topic_partitions,
        decisions=settings.topic_prefix + decisions,
        state_dir=settings.state_dir,
        security=security_options(settings),
        state_memory_bytes_max=settings.state_memory_bytes_max,
        record_bytes_max=settings.record_bytes_max,
        send_timeout_s=settings.send_timeout_s,
        stuck_timeout_s=settings.stuck_timeout_s,
        late_after_s=settings.late_after_s,
        stop_timeout_s=settings.stop_timeout_s,
        commit_interval_s=settings.commit_interval_s,
        session_timeout_s=settings.session_timeout_s,
        heartbeat_interval_s=settings.session_timeout_s / 10,
        version=code_version(),
        poison_share_max=settings.poison_share_max,
        poison_records_min=settings.poison_records_min,
        poison_window_s=settings.poison_window_s,
        poison_watch_after_version_s=settings.poison_watch_after_version_s,
        batch_records_max=batch_records_max,
        fetch_bytes_max=settings.kafka_fetch_bytes_max,
    )
