"""What an operator can set for the `deliveries` stage."""

from pydantic import Field

from streams.settings import BatchSettings


class DeliveriesSettings(BatchSettings):
    """What `deliveries` needs beside what every stage needs."""

    deduplicate: bool = Field(
        default=True, description="Switch off only against Metriport's sandbox, whose test events reuse a message id."
    )
    drift: bool = Field(
        default=True, description="Compare deliveries with what is known, and tell in `drift` what differs."
    )
    drift_paths_max: int = Field(
        100,
        ge=1,
        le=10_000,
        description="Differences told apart, of each message type and partition; what is more is told as `too_many`.",
    )
    drift_absent_records: int = Field(
        200, ge=2, le=1_000_000, description="Messages without a field that used to come, before that is told."
    )
    drift_audit_poll_s: float = Field(
        30.0, gt=0, le=3600, description="Between two looks at what operators have accepted of what differs."
    )
    drift_values_max: int = Field(
        20_000, ge=100, le=10_000_000, description="Values looked at of one delivery that differs."
    )
