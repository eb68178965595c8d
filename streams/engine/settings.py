"""Settings of one stage's engine; every limit carries its unit in its name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Of one request for records. Faust's 1.5 s lets an idle partition hold up a busy one on the same broker.
FETCH_WAIT_S = 0.1


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Everything the engine of one stage needs to know. `stage` names it in logs; `app_id` is its consumer group."""

    stage: str
    app_id: str
    bootstrap_servers: str
    sources: tuple[str, ...]
    partitions: int
    state_dir: Path
    decisions: str = ""  # the topic where operators' decisions for this stage are; none if empty
    # As an aiokafka client takes it (`models.security.security_options`): it holds a password.
    security: Mapping[str, Any] = field(default_factory=lambda: {"security_protocol": "PLAINTEXT"}, repr=False)

    # Written into every output when set: a replay under another generation is not taken for a repeat.
    generation: str = ""

    batch_records_max: int = 500
    fetch_bytes_max: int = 4 * 2**20  # of one partition

    record_bytes_max: int = 40 * 2**20

    commit_interval_s: float = 0.5
    session_timeout_s: float = 30.0
    heartbeat_interval_s: float = 3.0
    send_timeout_s: float = 120.0
    stop_timeout_s: float = 20.0
    stuck_timeout_s: float = 300.0
    late_after_s: float = 60.0

    # What runs, as `code_version` says; without one nothing is watched for poison of our own making.
    version: str = ""
    poison_share_max: float = 0.2
    poison_records_min: int = 50
    poison_window_s: float = 300.0
    poison_watch_after_version_s: float = 3600.0

    state_memory_bytes_max: int = 64 * 2**20  # all local copies of the process: blocks read, changes not yet in files

    # Set by tests only, to see within seconds, or with few records, what takes longer in earnest.
    tail_records: int = 1000  # read back from the end of each output partition; covers the outputs of one step
    request_timeout_s: float = 60.0
    rebalance_timeout_s: float = 120.0
    decision_poll_s: float = 5.0

    @property
    def changelog(self) -> str:
        """The compacted topic that holds the stage's state."""
        return f"{self.app_id}-state-changelog"

    @property
    def lease_s(self) -> float:
        """Seconds after the last heartbeat during which the partitions are surely still ours."""
        return self.session_timeout_s - 2 * self.heartbeat_interval_s

    @property
    def silent_max_s(self) -> float:
        """Seconds without an answer to a heartbeat after which Kafka counts as away."""
        return 3 * self.heartbeat_interval_s
