"""What an operator can set for every stage of the worker, and for those that share a blob store."""

from collections.abc import Iterable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from pydantic import AliasChoices, Field, field_validator

from models.settings import Folder, KafkaSettings, ProcessSettings, Settings, load_all
from models.stages import STAGES

# The library knows more names for the same stores, and others: these are the ones that were tried.
_STORES = ("file", "s3", "gs", "az", "memory")


class StageSettings(ProcessSettings, KafkaSettings):
    """What every stage needs."""

    state_dir: Folder = Field(
        Path("var/state"), description="The stages' tables (RocksDB); rebuilt from Kafka if lost."
    )
    state_memory_bytes_max: int = Field(
        64 * 2**20, ge=2**20, description="Memory of a stage's tables, of all its partitions together."
    )
    worker_host: str = Field("127.0.0.1", description="Where each stage answers /live, /ready and /metrics.")
    worker_port: int = Field(
        8081,
        ge=0,
        le=65000,
        description="The port of the first stage, `deliveries`; the others have those after it, each always the same."
        " Set, and with a single stage (`worker bundles`): the port of that one. 0: none.",
    )
    kafka_fetch_bytes_max: int = Field(
        4 * 2**20,
        ge=2**16,
        validation_alias=AliasChoices("kafka_fetch_bytes_max", "fetch_bytes_max"),
        description="Bytes a stage fetches at once from a partition of Kafka.",
    )
    commit_interval_s: float = Field(0.5, gt=0, le=60, description="Between two commits of what is finished.")
    session_timeout_s: float = Field(30.0, ge=6, le=600, description="A silent worker loses its partitions then.")
    send_timeout_s: float = Field(
        120.0, gt=0, le=600, description="A send not acknowledged by then ends the stage, which starts again."
    )
    stuck_timeout_s: float = Field(
        300.0, gt=0, description="A stage that makes no progress for this long is ended, and starts again."
    )
    late_after_s: float = Field(60.0, gt=0, description="A record unfinished for this long makes /ready say so.")
    poison_share_max: float = Field(
        0.2,
        gt=0,
        le=1,
        description="More than this share of records that fail in ways nobody foresaw pauses a stage after a change of"
        " version. 1: never.",
    )
    poison_records_min: int = Field(50, ge=1, description="Of fewer records within POISON_WINDOW_S no share is taken.")
    poison_window_s: float = Field(300.0, ge=1, le=86400, description="The time in which that share is taken.")
    poison_watch_after_version_s: float = Field(
        3600.0, ge=0, le=30 * 86400, description="For how long a new version is watched like that. 0: not at all."
    )

    def port(self, stage: str, *, alone: bool) -> int:
        """Return where the stage answers, 0 for nowhere; a stage on its own answers where the operator said."""
        if alone and "worker_port" in self.model_fields_set:
            return self.worker_port
        return STAGES[stage].port(self.worker_port)


class BatchSettings(StageSettings):
    """What a stage needs whose records are quick work."""

    batch_records_max: int = Field(500, ge=1, le=10_000, description="Records a stage handles as one.")


class BlobStoreSettings(Settings):
    """Where fetched bytes are kept: one stage writes there, another reads."""

    blob_store_url: str = Field(
        default_factory=lambda: Path("var/blobs").resolve().as_uri(),
        description="Where fetched bytes are kept: file, s3, gs, az or memory.",
    )

    @field_validator("blob_store_url")
    @classmethod
    def _a_store(cls, value: str) -> str:
        scheme, colon, rest = value.partition("://")
        if scheme not in _STORES or not colon:
            raise ValueError("must begin with file://, s3://, gs://, az:// or memory://")
        if scheme == "file" and not rest.startswith("/"):
            raise ValueError("must be an absolute path, as in file:///var/lib/blobs")
        return value


def of_stage(stage: str, **overrides: Any) -> StageSettings:  # noqa: ANN401 - whatever the fields take
    """Return the settings of one stage; raise `Misconfigured` with a sentence per problem."""
    return of_stages([stage], **overrides)[0]


def of_stages(stages: Iterable[str], **overrides: Any) -> list[StageSettings]:  # noqa: ANN401
    """Return the settings of these stages; raise `Misconfigured` with a sentence per problem of any of them."""
    return load_all([class_of(stage) for stage in stages], **overrides)


def class_of(stage: str) -> type[StageSettings]:
    """Return the class of a stage's settings; loads no more of the stage than that."""
    kind: type[StageSettings] = resolve_name(STAGES[stage].settings)
    return kind
